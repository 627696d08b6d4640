"""From pixels to a report: image preparation, prompt, generator, confidence; and the view check."""
