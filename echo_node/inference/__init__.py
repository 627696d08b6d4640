"""Pixels in, Report out: image preparation, prompt, sections, generator."""
