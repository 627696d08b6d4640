"""One module for each layout in which images with reports come; each yields rows, bad ones as rejected."""
