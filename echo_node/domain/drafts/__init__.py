"""Drafts: report, content, wording, comparison with priors."""
