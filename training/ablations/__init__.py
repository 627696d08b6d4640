"""The paper's claims one by one, on phantoms: `python -m training.ablations`.

A plan (`paper.toml`) names variants, each a stage behind another one, and the claims that compare them.
"""
