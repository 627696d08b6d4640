"""What each role of the node is made of, one file a role; node.py starts and stops them.

Settings become objects here and nowhere else. A role imports the heavy libraries that it needs, so that a
receiver never loads torch.
"""
