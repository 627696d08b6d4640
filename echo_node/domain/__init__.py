"""The words of the house: values, states and ports. Standard library only, no I/O."""
