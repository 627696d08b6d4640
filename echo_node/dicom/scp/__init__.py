"""The way in: associations, their messages, and the services that this node provides."""
