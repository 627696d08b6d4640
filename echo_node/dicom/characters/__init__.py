"""Texts of headers: character sets, code extensions, and texts that are in other sets."""
