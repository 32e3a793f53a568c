"""Workers that run in the environment of the released packages; they import nothing of this repository's package."""
