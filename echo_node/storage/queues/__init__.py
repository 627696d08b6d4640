"""Work queues on database rows, one module for each kind of work."""
