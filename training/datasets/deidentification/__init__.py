"""De-identification of report texts and pseudonyms for identifiers."""
