"""Metrics of drafts against references, both as text; one family of metrics per module."""
