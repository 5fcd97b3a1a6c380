"""API keys: their text, their records, and the book that keeps them."""
