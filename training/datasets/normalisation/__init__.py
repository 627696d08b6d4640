"""Normalisation of report texts by rules or by a language model, checked for faithfulness."""
