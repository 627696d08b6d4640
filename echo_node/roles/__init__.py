"""Composition of each role, one file a role. node.py starts and stops them.

Settings become objects here and in wiring/ only. A role imports the heavy libraries that it needs,
so that a receiver never loads torch.
"""
