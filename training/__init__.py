"""Training of block-diffusion report models by RAD and DCD, on exported studies and on phantoms."""
