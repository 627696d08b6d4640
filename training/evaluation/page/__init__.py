"""Page of an evaluation, as Markdown and as one HTML file: metrics, plots, examples and limits."""
