"""Checks of the paper's claims one by one, on phantoms: `python -m training.ablations`.

A plan (`paper.toml`) defines variants and claims. A variant is a training stage that follows
another variant. A claim compares variants.
"""
