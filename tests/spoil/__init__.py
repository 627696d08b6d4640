"""Headers that are spoilt on purpose: every attribute that the program reads, in every way."""
