"""A folder of reports: text files named by accession number or Study Instance UID, or SR documents."""

from __future__ import annotations

import re
from pathlib import Path

from echo_node.dicom.documents.sr_reader import ReportDocument, read_report
from echo_node.errors import ConfigError, PermanentError
from echo_node.report_text.report_sections import ReportSections, parse_report, section_of

_TEXT_SUFFIXES = {".txt", ".text"}
_ENCODINGS = ("utf-8-sig", "gb18030")


class ReportFolder:
    """Finds a study's report; drafts of this program are no reports.

    Attributes:
        unreadable: how many files were neither.

    Raises:
        ConfigError: the folder cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no folder: --reports names one of text files or SR documents")
        self.unreadable = 0
        self._text_files: dict[str, Path] = {}
        self._documents: dict[str, tuple[str, ReportSections]] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.suffix.casefold() in _TEXT_SUFFIXES:
                self._text_files[path.stem] = path
            else:
                self._add_document(path)

    def find(self, study_instance_uid: str, accession_number: str) -> ReportSections | None:
        """Return a study's report, by UID before accession number; None if there is none.

        Both sections are empty in a report that has neither heading.

        Raises:
            PermanentError: its file cannot be read.
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
        """Keep an SR document's text under both of its names; the one written last counts."""
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
    """Return the sections that the items' names tell, or else the headings within one long text."""
    found: dict[str, list[str]] = {"findings": [], "impression": []}
    for names, text in report.texts:
        section = next(filter(None, map(section_of, names)), "")
        if section:
            found[section].append(text)
    if not any(found.values()):
        return parse_report("\n".join(text for _, text in report.texts))
    return ReportSections(" ".join(found["findings"]), " ".join(found["impression"]))


def as_file_name(accession_number: str) -> str:
    """Return an accession number as a file can be called: what is no letter, digit, . or - becomes _."""
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
    raise PermanentError("the report is in no encoding that is known (UTF-8, GB 18030)")
