"""Reading original downloads as they are: folders and archives alike, nothing extracted to disk."""
