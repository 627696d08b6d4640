"""`echo-node report FILE…`: the way from pixels to text and document without a network or a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echo_node.cli import options
from echo_node.cli.output import complain, console, print_json
from echo_node.domain.drafts.draft import remarks_on
from echo_node.domain.studies.study import GreyImage, Selection
from echo_node.errors import EchoNodeError, NotEligible, PermanentError
from echo_node.settings import DocumentKind, Settings

if TYPE_CHECKING:
    from echo_node.domain.drafts.report import Report, Sentence
    from echo_node.inference.generator import EchoGenerator
    from echo_node.wiring.images import ChestImages

_PICTURE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one file: a report, or the reason why there is none."""

    file: Path
    report: Report | None = None
    view: str | None = None
    remarks: tuple[str, ...] = ()
    skipped: str | None = None
    error: str | None = None
    sr: Path | None = None

    def as_json(self) -> dict[str, object]:
        """Return the same keys for every outcome; what does not apply is null."""
        report = self.report
        return {
            "file": str(self.file),
            "findings": " ".join(s.text for s in report.findings) if report else None,
            "impression": " ".join(s.text for s in report.impression) if report else None,
            "sentences": _sentences(report) if report else None,
            "skipped": self.skipped,
            "error": self.error,
            "view": self.view,
            "remarks": list(self.remarks),
            "language": report.language if report else None,
            "model": report.model.name if report else None,
            "model_version": report.model.version if report else None,
            "model_digest": report.model.digest if report else None,
            "demonstration": report.model.demonstration if report else None,
            "verified": False,
            "decoder": report.generation.decoder if report else None,
            "tokens": report.generation.tokens if report else None,
            "forwards": report.generation.forwards if report else None,
            "tokens_per_forward": round(report.generation.tokens_per_forward, 3) if report else None,
            "seconds": round(report.generation.seconds, 4) if report else None,
            "sr": str(self.sr) if self.sr else None,
        }


def _sentences(report: Report) -> list[dict[str, object]]:
    return [
        {"section": section, "text": sentence.text, "confidence": sentence.confidence}
        for section, sentences in (("findings", report.findings), ("impression", report.impression))
        for sentence in sentences
    ]


class _Reader:
    """Reads files one after the other; the model is loaded for the first that needs it."""

    def __init__(self, settings: Settings, kind: DocumentKind) -> None:
        self._settings = settings
        self._kind = kind

    @cached_property
    def generator(self) -> EchoGenerator:
        """The model, loaded on first use: a file that is skipped does not need it."""
        from echo_node.inference.generator import load_generator

        return load_generator(self._settings.model)

    def read(self, file: Path, sr: Path | None) -> _Result:
        """Return what became of *file*; only a model that cannot be loaded ends the run."""
        try:
            source = _picture(file) or self._select(file)
        except NotEligible as reason:
            return _Result(file, skipped=str(reason))
        except EchoNodeError as error:
            return _Result(file, error=str(error))
        selection = source if isinstance(source, Selection) else None
        if sr and selection is None:
            return _Result(file, error="a picture names no patient and no study: --sr needs a DICOM file")
        view = selection.primary.view if selection else None
        generator = self.generator
        try:
            image = self._shown(source) if isinstance(source, Selection) else source
            report = generator.generate(image)
            if sr and selection:
                self._write(report, selection, sr)
        except EchoNodeError as error:
            return _Result(file, error=str(error), view=view)
        remarks = remarks_on(selection.images) if selection else ()
        return _Result(file, report, view, remarks=remarks, sr=sr)

    @cached_property
    def _images(self) -> ChestImages:
        from echo_node.dicom.library_settings import configure_libraries
        from echo_node.wiring.images import chest_images

        configure_libraries()
        return chest_images(self._settings.selection)

    def _select(self, file: Path) -> Selection:
        """Return the chest image of a DICOM file.

        Raises:
            NotEligible: it is not an image to draft from.
            PermanentError: it is not a whole DICOM file, or cannot be decoded.
        """
        from echo_node.dicom.instance_file import instance_from_file

        return self._images.selector.select([instance_from_file(file)])

    def _shown(self, selection: Selection) -> GreyImage:
        """Return the image as the model wants it.

        Raises:
            PermanentError: it cannot be decoded or shown.
        """
        return self._images.reader(self.generator.greyscale).read(selection.primary)

    def _write(self, report: Report, selection: Selection, target: Path) -> None:
        from echo_node.domain.drafts.draft import Draft
        from echo_node.wiring.destinations import encoder

        study_instance_uid = selection.primary.instance.identity.study_instance_uid
        draft = Draft(report, selection, study_instance_uid, revision=1, at=datetime.now(UTC))
        document = encoder(self._kind, self._settings).encode(draft)
        try:
            target.write_bytes(document.content)
        except OSError as error:
            raise PermanentError(f"cannot write {target}: {error.strerror}") from error


def _picture(file: Path) -> GreyImage | None:
    """Return a PNG or JPEG picture; None of what should be a DICOM file.

    Raises:
        PermanentError: it cannot be read, or is neither.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(132)
    except OSError as error:
        raise PermanentError(f"the file cannot be read: {error.strerror}") from error
    if start.startswith(_PICTURE_SIGNATURES):
        from echo_node.inference.image import read_picture

        return read_picture(file)
    if not start:
        raise PermanentError("the file is empty")
    if start[128:] != b"DICM":
        raise PermanentError("neither a DICOM file (those have DICM at byte 128) nor a PNG or JPEG picture")
    return None


def report(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="DICOM files, PNG or JPEG pictures.")],
    sr: Annotated[
        Path | None,
        typer.Option("--sr", metavar="OUT.dcm", help="Write the document too, as a PACS would get it."),
    ] = None,
    kind: Annotated[
        DocumentKind, typer.Option("--kind", help="Which document --sr writes.", show_default=True)
    ] = DocumentKind.BASIC_TEXT_SR,
    model: options.Model = None,
    config: options.Config = None,
    assignments: options.Set = None,
    *,
    json: options.Json = False,
) -> None:
    """Draft a report for each image file, on this machine alone.

    A file that is not a frontal chest radiograph is skipped with the reason;
    one that cannot be read gets its line, the others go on, and the exit code
    is 1. With --json, several files give a list.

    [bold]Examples[/bold]

      echo-node report chest.dcm
      echo-node report chest.dcm --sr draft.dcm --json
      echo-node report chest.dcm --sr draft.dcm --kind encapsulated-pdf
      echo-node report images/*.png --model runs/small-dcd
    """
    if sr and len(files) > 1:
        raise typer.BadParameter("--sr takes one FILE", param_hint="--sr")
    if sr and sr.exists() and sr.samefile(files[0]):
        raise typer.BadParameter("it would overwrite the image", param_hint="--sr")
    settings = options.load_settings(config, model=model, assignments=assignments).settings
    reader = _Reader(settings, kind)
    results = []
    for file in files:
        result = reader.read(file, sr)
        results.append(result)
        if result.error:
            complain(f"{file}: {result.error}")
        elif not json:
            _print(result)
    if json:
        rows = [result.as_json() for result in results]
        print_json(rows[0] if len(rows) == 1 else rows)
    if any(result.error for result in results):
        raise typer.Exit(1)


def _print(result: _Result) -> None:
    from rich.markup import escape

    out = console()
    if result.report is None:
        out.print(f"[bold]{escape(str(result.file))}[/bold]: [yellow]skipped[/yellow]: {result.skipped}")
        return
    draft, made = result.report, result.report.generation
    speed = f"{made.tokens_per_forward:.1f} tokens a forward"
    view = f" · {result.view}" if result.view else ""
    out.print(f"[bold]{escape(str(result.file))}[/bold]{view}")
    for remark in result.remarks:
        out.print(f"[yellow]{escape(remark)}[/yellow]")
    for heading, sentences in (("Findings", draft.findings), ("Impression", draft.impression)):
        out.print(f"\n[bold]{heading}[/bold]")
        for sentence in sentences or ():
            out.print(f"  {escape(sentence.text)}{_how_sure(sentence)}")
        if not sentences:
            out.print("  [dim]The model wrote none.[/dim]")
    out.print(
        f"\n[dim]{draft.model.name} {draft.model.version}, {made.decoder}: {made.tokens} tokens in "
        f"{made.forwards} forwards ({speed}), {made.seconds:.2f} s[/dim]"
    )
    warning = " Demonstration model, not for clinical use." if draft.model.demonstration else ""
    out.print(f"[yellow]Unverified machine draft, to be checked by a radiologist.{warning}[/yellow]")
    if result.sr:
        out.print(f"Document: {escape(str(result.sr))}")


def _how_sure(sentence: Sentence) -> str:
    """Return the sentence's confidence, or its mark, as rich markup; nothing where none was measured."""
    if sentence.speaks_of_comparison:
        return "  [yellow]no comparison was made[/yellow]"
    if sentence.confidence is None:
        return ""
    style = "yellow" if sentence.is_unsure else "dim"
    return f"  [{style}]{'unsure, ' if sentence.is_unsure else ''}{sentence.confidence:.0%}[/{style}]"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Files")(report)
