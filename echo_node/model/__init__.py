"""Tensors only: the ECHO network, its masks, cache and decoding, shared by service and training."""
