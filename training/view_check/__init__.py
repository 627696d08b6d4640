"""Trains and measures the check of views by the image alone (echo_node/inference/view_check.py)."""
