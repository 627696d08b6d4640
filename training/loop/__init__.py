"""The training loop, and the batches, optimisers, states and records of a run."""
