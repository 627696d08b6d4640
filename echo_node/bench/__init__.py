"""Measurements beside peers in one run, as ratios: these machines are shared and no absolute time lasts."""
