"""The page of an evaluation, as Markdown and as one HTML file: figures, plots, examples and limits."""
