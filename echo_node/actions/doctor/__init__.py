"""Examination of a node: one check for each thing that it needs, with a remedy for each failure."""
