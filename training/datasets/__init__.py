"""Data sets of images with reports: readers, one sharded format, normalisation, a data card."""
