"""Studies and their images: identity, intake, appearance."""
