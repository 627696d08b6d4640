"""Readers of data sets, one module for each layout. Each yields candidates and rejected rows."""
