"""Images with reports on disk: readers of what there is, one sharded format, normalisation, a card."""
