"""Training of the view check (echo_node/inference/view_check.py): `python -m training.view_check`.

The view check is a small network that recognises, from pixels alone, whether an image is an upright
frontal chest radiograph. This package renders images (`images`, `others`), turns them into training
examples (`jitter`), trains the network (`network`, `train`), measures it on held-out phantoms
(`measure`) and writes the model card (`card`).
"""
