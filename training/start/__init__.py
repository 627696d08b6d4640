"""Start of a run: a new model or a checkpoint, its tokeniser, its adapters."""
