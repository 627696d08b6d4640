"""Report text: words, sections, labels, soundness and garble, for service and training alike."""
