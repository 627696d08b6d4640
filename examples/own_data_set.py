"""Read a data set of your own layout into the format that training uses.

    python examples/own_data_set.py FOLDER OUT

A reader is a function that yields a `Candidate` for each image with a report, and a `RejectedRow`
for each row that cannot be used. The reason of a rejected row must not contain patient data.

In the layout of this example, each `NAME.png` has a `NAME.txt`. The first paragraph of the text is
the findings, the second is the impression. To train on the result, pass `--set data.folder=OUT` to
`echo-node train`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from training import BuildOptions, Candidate, Found, RejectedRow, build


def read(source: Path) -> Iterator[Found]:
    """Yield a row for each text file of a folder."""
    for number, text in enumerate(sorted(source.glob("*.txt")), 1):
        key, image = f"row {number}", text.with_suffix(".png")
        if not image.exists():
            yield RejectedRow(key, "the image file is missing")
            continue
        findings, _, impression = text.read_text(encoding="utf-8").partition("\n\n")
        yield Candidate(key, image, text.stem, text.stem, findings, impression, view="PA")


def main() -> None:
    """Build the data set and print what it contains."""
    facts = build(read(Path(sys.argv[1])), Path(sys.argv[2]), BuildOptions("My data set", "my-layout"))
    print(facts)


if __name__ == "__main__":
    main()
