"""Commands on models, training and data sets."""
