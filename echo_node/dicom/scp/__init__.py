"""Service class provider: associations, their messages, and the services of this node."""
