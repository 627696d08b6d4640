"""Training examples and their collation into batches."""
