"""Headers that are malformed on purpose: every attribute that the program reads, in every way."""
