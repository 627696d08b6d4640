"""The diagram in docs/explanation/architecture.md is the table of transitions."""

from pathlib import Path

from echo_node.domain.work.lifecycle import mermaid

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "architecture.md"


def test_the_page_shows_the_table_as_it_is() -> None:
    assert f"```mermaid\n{mermaid()}```\n" in PAGE.read_text(encoding="utf-8"), "run `make diagram`"
