"""RAD and DCD: making block-diffusion report writers from exported studies and from phantoms."""
