"""Benchmarks: each compares its candidates in one run and reports ratios.

Absolute times depend on the machine and on its other load. Ratios of times that were taken in turns
do not.
"""
