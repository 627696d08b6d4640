"""Composition shared by roles and commands: destinations and images."""
