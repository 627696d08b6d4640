"""The training loop and its state: batches, optimisers, snapshots, records."""
