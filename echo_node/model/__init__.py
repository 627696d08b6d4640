"""The ECHO network, its masks, cache, decoding and checkpoints, for the node and for training."""
