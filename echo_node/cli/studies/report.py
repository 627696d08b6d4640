"""`echo-node report FILE…`: draft reports of image files without a network or a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from echo_node.actions.draft_files import DraftedFile, FileDrafter
from echo_node.cli import options
from echo_node.cli.output import complain, console, escape, print_json
from echo_node.settings import DocumentKind

if TYPE_CHECKING:
    from echo_node.domain.drafts.report import Report, Sentence


def report(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="DICOM files, or PNG or JPEG pictures.")
    ],
    sr: Annotated[
        Path | None,
        typer.Option("--sr", metavar="OUT.dcm", help="File for the document, as a PACS would receive it."),
    ] = None,
    kind: Annotated[
        DocumentKind, typer.Option("--kind", help="Form of the document that --sr writes.", show_default=True)
    ] = DocumentKind.BASIC_TEXT_SR,
    model: options.Model = None,
    config: options.Config = None,
    assignments: options.Set = None,
    *,
    json: options.Json = False,
) -> None:
    """Draft a report for each image file, on this machine alone.

    A file that is not a frontal chest radiograph is skipped, with the reason.
    If a file cannot be read, the command prints an error for it, continues
    with the others, and ends with exit code 1. With --json, several files
    give a list.

    [bold]Examples[/bold]

      echo-node report chest.dcm
      echo-node report chest.dcm --sr draft.dcm --json
      echo-node report chest.dcm --sr draft.dcm --kind encapsulated-pdf
      echo-node report images/*.png --model runs/small-dcd
    """
    if sr and len(files) > 1:
        raise typer.BadParameter("--sr needs exactly one FILE", param_hint="--sr")
    if sr and sr.exists() and sr.samefile(files[0]):
        raise typer.BadParameter("the document would overwrite the image", param_hint="--sr")
    settings = options.load_settings(config, model=model, assignments=assignments).settings
    drafter = FileDrafter(settings, kind)
    results = []
    for file in files:
        result = drafter.draft(file, sr)
        results.append(result)
        if result.error:
            complain(f"{file}: {result.error}")
        elif not json:
            _print(result)
    if json:
        rows = [_as_json(result) for result in results]
        print_json(rows[0] if len(rows) == 1 else rows)
    if any(result.error for result in results):
        raise typer.Exit(1)


def _as_json(result: DraftedFile) -> dict[str, object]:
    """Return the same keys for every result; keys that do not apply are null."""
    report = result.report
    return {
        "file": str(result.file),
        "findings": " ".join(s.text for s in report.findings) if report else None,
        "impression": " ".join(s.text for s in report.impression) if report else None,
        "sentences": _sentences(report) if report else None,
        "skipped": result.skipped,
        "error": result.error,
        "view": result.view,
        "remarks": list(result.remarks),
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
        "sr": str(result.document) if result.document else None,
    }


def _sentences(report: Report) -> list[dict[str, object]]:
    return [
        {"section": section, "text": sentence.text, "confidence": sentence.confidence}
        for section, sentences in (("findings", report.findings), ("impression", report.impression))
        for sentence in sentences
    ]


def _print(result: DraftedFile) -> None:
    out = console()
    if result.report is None:
        out.print(f"[bold]{escape(str(result.file))}[/bold]: [yellow]skipped[/yellow]: {result.skipped}")
        return
    draft, made = result.report, result.report.generation
    speed = f"{made.tokens_per_forward:.1f} tokens per forward pass"
    view = f" · {result.view}" if result.view else ""
    out.print(f"[bold]{escape(str(result.file))}[/bold]{view}")
    for remark in result.remarks:
        out.print(f"[yellow]{escape(remark)}[/yellow]")
    for heading, sentences in (("Findings", draft.findings), ("Impression", draft.impression)):
        out.print(f"\n[bold]{heading}[/bold]")
        for sentence in sentences or ():
            out.print(f"  {escape(sentence.text)}{_confidence(sentence)}")
        if not sentences:
            out.print("  [dim]The model wrote no sentence.[/dim]")
    out.print(
        f"\n[dim]{draft.model.name} {draft.model.version}, {made.decoder}: {made.tokens} tokens in "
        f"{made.forwards} forward passes ({speed}), {made.seconds:.2f} s[/dim]"
    )
    warning = " Demonstration model, not for clinical use." if draft.model.demonstration else ""
    out.print(f"[yellow]Unverified machine draft, to be checked by a radiologist.{warning}[/yellow]")
    if result.document:
        out.print(f"Document: {escape(str(result.document))}")


def _confidence(sentence: Sentence) -> str:
    """Return the sentence's confidence or mark as rich markup; empty if none was measured."""
    if sentence.doubt:
        return f"  [yellow]may be garbled: {sentence.doubt}[/yellow]"
    if sentence.speaks_of_comparison:
        return "  [yellow]no comparison was made[/yellow]"
    if sentence.confidence is None:
        return ""
    style = "yellow" if sentence.is_unsure else "dim"
    return f"  [{style}]{'unsure, ' if sentence.is_unsure else ''}{sentence.confidence:.0%}[/{style}]"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel="Files")(report)
