"""Workers that run this package."""
