"""Checks of the paper's claims one by one, on phantoms: `python -m training.ablations`.

A plan (`paper.toml`) defines variants, each a training stage after another one, and the claims that
compare them.
"""
