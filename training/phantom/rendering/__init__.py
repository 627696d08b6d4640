"""Rendering of phantom chests as radiographs."""
