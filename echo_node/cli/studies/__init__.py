"""Commands on studies and drafts."""
