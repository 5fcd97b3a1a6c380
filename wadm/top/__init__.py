"""The live table in a terminal; textual is imported only by its screen."""
