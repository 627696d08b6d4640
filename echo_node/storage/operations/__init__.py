"""Work on the whole store: queries, export, backup, retention."""
