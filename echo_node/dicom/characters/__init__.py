"""Texts of headers: character sets, code extensions, and texts that are not in their character set."""
