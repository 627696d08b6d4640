"""Folder of reports: text files named by accession number or UID, or SR documents."""

from __future__ import annotations

import re
from pathlib import Path

from echo_node.dicom.documents.sr_reader import ReportDocument, read_report
from echo_node.errors import ConfigError, PermanentError
from echo_node.report_text.report_sections import ReportSections, parse_report, section_of

_TEXT_SUFFIXES = {".txt", ".text"}
_ENCODINGS = ("utf-8-sig", "gb18030")


class ReportFolder:
    """Reports of a folder, by study; drafts of this program are ignored.

    Attributes:
        unreadable: number of files that are neither text files nor SR documents.

    Raises:
        ConfigError: the folder does not exist.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigError(
                f"{folder} is not a folder: --reports needs a folder of text files or SR documents"
            )
        self.unreadable = 0
        self._text_files: dict[str, Path] = {}
        self._documents: dict[str, tuple[str, ReportSections]] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.suffix.casefold() in _TEXT_SUFFIXES:
                self._text_files[path.stem] = path
            else:
                self._add_document(path)

    def find(self, study_instance_uid: str, accession_number: str) -> ReportSections | None:
        """Return the report of a study, by UID or else by accession number; None if there is none.

        If the report has neither heading, both sections are empty.

        Raises:
            PermanentError: the file of the report cannot be read.
        """
        for name in filter(None, (study_instance_uid, accession_number, as_file_name(accession_number))):
            if name in self._text_files:
                return parse_report(_read_text(self._text_files[name]))
        for name in filter(
            None, (study_instance_uid, f"accession {accession_number}" if accession_number else "")
        ):
            if name in self._documents:
                return self._documents[name][1]
        return None

    def _add_document(self, path: Path) -> None:
        """Index an SR document by UID and by accession number; the latest document counts."""
        try:
            report = read_report(path.read_bytes())
        except (PermanentError, OSError):
            self.unreadable += 1
            return
        if report.is_draft:
            return
        names = [report.study_instance_uid]
        if report.accession_number:
            names.append(f"accession {report.accession_number}")
        for name in names:
            if name not in self._documents or self._documents[name][0] <= report.written_at:
                self._documents[name] = (report.written_at, _sections(report))


def _sections(report: ReportDocument) -> ReportSections:
    """Return the sections by the names of the items, or else by the headings within the text."""
    found: dict[str, list[str]] = {"findings": [], "impression": []}
    for names, text in report.texts:
        section = next(filter(None, map(section_of, names)), "")
        if section:
            found[section].append(text)
    if not any(found.values()):
        return parse_report("\n".join(text for _, text in report.texts))
    return ReportSections(" ".join(found["findings"]), " ".join(found["impression"]))


def as_file_name(accession_number: str) -> str:
    """Return an accession number as a file name: letters, digits, . and - stay, others become _."""
    return re.sub(r"[^\w.-]", "_", accession_number)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"the report cannot be read: {error.strerror}") from error
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise PermanentError("the encoding of the report is unknown (it is neither UTF-8 nor GB 18030)")
