"""Training objectives: AR, RAD, DCD, vision, and the preparation of their inputs."""
