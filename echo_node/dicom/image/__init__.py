"""From stored pixel data to the grey values that a viewer displays."""
