"""What drafts are measured by: each module a family of metrics, of drafts and references as text."""
