"""The story of a study, one stage a file; talks to ports only."""
