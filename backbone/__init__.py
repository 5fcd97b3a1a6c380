"""How the parts talk, remember and are observed."""
