"""Evaluation and calibration of checkpoints."""
