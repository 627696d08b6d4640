"""Reports of phantom chests, written and parsed, in English and Chinese."""
