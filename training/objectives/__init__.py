"""Training objectives: what a run minimises, and how its inputs are prepared."""
