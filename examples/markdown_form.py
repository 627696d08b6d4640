"""Give a draft a form of your own: here a page of Markdown.

    python examples/markdown_form.py chest.dcm

A form is a `ReportEncoder`: a pure function of the draft. It must add nothing to the content that
`compose` returns and leave nothing out. The notice that the text is unverified is part of that
content. CONTRIBUTING.md describes how a form becomes one that destinations can ask for.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from echo_node import Draft, EncodedDocument, ModelSettings, compose, load_generator, read_chest_image


class MarkdownEncoder:
    """Implements the ReportEncoder port."""

    kind = "markdown"

    def encode(self, draft: Draft, predecessor: EncodedDocument | None = None) -> EncodedDocument:
        """Return the draft as Markdown."""
        del predecessor  # a page does not refer to the one that it replaces
        lines = [f"# Study {draft.study_instance_uid}, draft {draft.revision}"]
        for section in compose(draft).sections:
            lines += [f"## {section.name.replace('_', ' ').capitalize()}", *section.paragraphs]
        return EncodedDocument(
            kind=self.kind,
            study_instance_uid=draft.study_instance_uid,
            sop_instance_uid="",
            sop_class_uid="",
            transfer_syntax_uid="",
            content="\n\n".join(lines).encode(),
        )


def main() -> None:
    """Draft one image and print the page."""
    selection, image = read_chest_image(Path(sys.argv[1]))
    report = load_generator(ModelSettings()).generate(image)
    study = selection.primary.instance.identity.study_instance_uid
    draft = Draft(report, selection, study, revision=1, at=datetime.now(UTC))
    print(MarkdownEncoder().encode(draft).content.decode())


if __name__ == "__main__":
    main()
