"""Learning from a few images: episodes, the methods that are compared on them, and what came of it."""
