"""Tiny stand-ins for the original downloads: their names, layout and quirks, with images that show their labels."""
