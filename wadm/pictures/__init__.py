"""Pictures of answers, drawn by matplotlib, which is imported only here."""
