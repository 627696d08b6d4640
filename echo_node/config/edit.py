"""Edits of a configuration file that keep its comments and its order."""

from __future__ import annotations

import re


def with_setting(text: str, section: str, name: str, value: str) -> str:
    """Return the text of node.toml with a string setting changed, or added if it is absent.

    A commented-out line of the setting is replaced.

    Args:
        text: contents of the file.
        section: name of the section.
        name: name of the setting.
        value: new value, without quotes.
    """
    line = f'{name} = "{value}"'
    found = re.search(rf"^\[{section}\].*?(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return f"{text.rstrip()}\n\n[{section}]\n{line}\n"
    before = found[0]
    present = re.compile(rf"^#?\s*{name}\s*=.*$", re.MULTILINE)
    if present.search(before):
        after = present.sub(lambda _: line, before, count=1)
    else:
        heading, _, rest = before.partition("\n")
        after = f"{heading}\n{line}\n{rest}"
    return text.replace(before, after)
