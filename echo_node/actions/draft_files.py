"""Drafts of image files, on this machine alone: without a network, a queue or a database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from echo_node.domain.drafts.draft import remarks_on
from echo_node.domain.studies.study import GreyImage, Selection
from echo_node.errors import EchoNodeError, NotEligible, PermanentError
from echo_node.settings import DocumentKind, Settings

if TYPE_CHECKING:
    from echo_node.domain.drafts.report import Report
    from echo_node.inference.generator import EchoGenerator
    from echo_node.wiring.images import ChestImages

_PICTURE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


@dataclass(frozen=True, slots=True)
class DraftedFile:
    """Result for one file: a report, the reason for skipping the file, or an error.

    Attributes:
        file: the image file.
        report: text of the draft; None if there is no draft.
        view: view of the selected image; None for a PNG or JPEG picture.
        remarks: remarks of the draft on the image.
        skipped: reason why the model must not draft from the file.
        error: reason why the file could not be drafted.
        document: path of the document, if one was written.
    """

    file: Path
    report: Report | None = None
    view: str | None = None
    remarks: tuple[str, ...] = ()
    skipped: str | None = None
    error: str | None = None
    document: Path | None = None


class FileDrafter:
    """Drafts files one after the other. The model is loaded for the first file that needs it.

    Args:
        settings: settings of the node.
        kind: form of the documents to write.
    """

    def __init__(self, settings: Settings, kind: DocumentKind) -> None:
        self._settings = settings
        self._kind = kind

    def draft(self, file: Path, document: Path | None = None) -> DraftedFile:
        """Draft a report for *file*, and write it as a *document* if one is given.

        Raises:
            CheckpointError: the model cannot be loaded.
        """
        try:
            source = _read_picture(file) or self._select(file)
        except NotEligible as reason:
            return DraftedFile(file, skipped=str(reason))
        except EchoNodeError as error:
            return DraftedFile(file, error=str(error))
        selection = source if isinstance(source, Selection) else None
        if document and selection is None:
            return DraftedFile(file, error="a picture names no patient and no study: --sr needs a DICOM file")
        view = selection.primary.view if selection else None
        generator = self._generator
        try:
            image = self._shown(source) if isinstance(source, Selection) else source
            selection = selection.displayed(image) if selection else None
            report = generator.generate(image)
            if document and selection:
                self._write(report, selection, document)
        except NotEligible as reason:
            return DraftedFile(file, skipped=str(reason))
        except EchoNodeError as error:
            return DraftedFile(file, error=str(error), view=view)
        remarks = remarks_on(selection.images) if selection else ()
        return DraftedFile(file, report, view, remarks=remarks, document=document)

    @cached_property
    def _generator(self) -> EchoGenerator:
        from echo_node.inference.generator import load_generator

        return load_generator(self._settings.model)

    @cached_property
    def _images(self) -> ChestImages:
        from echo_node.dicom.library_settings import configure_libraries
        from echo_node.wiring.images import chest_images

        configure_libraries()
        return chest_images(self._settings.selection, character_set_of=self._settings.character_set_of)

    def _select(self, file: Path) -> Selection:
        """Return the chest image of a DICOM file.

        Raises:
            NotEligible: the model must not draft from the image.
            PermanentError: the file is not a complete DICOM file, or cannot be decoded.
        """
        from echo_node.dicom.instance_file import instance_from_file

        return self._images.selector.select([instance_from_file(file)])

    def _shown(self, selection: Selection) -> GreyImage:
        """Return the image with the grey values that the model expects.

        Raises:
            NotEligible: the image shows nothing.
            PermanentError: the image cannot be decoded or displayed.
        """
        return self._images.reader(self._generator.greyscale).read(selection.primary)

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


def _read_picture(file: Path) -> GreyImage | None:
    """Return a PNG or JPEG picture; None if the file is a DICOM file.

    Raises:
        PermanentError: the file is unreadable, or is neither.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(132)
    except OSError as error:
        raise PermanentError(f"the file cannot be read: {error.strerror}") from error
    if start.startswith(_PICTURE_SIGNATURES):
        from echo_node.inference.image import read_image_file

        return read_image_file(file)
    if not start:
        raise PermanentError("the file is empty")
    if start[128:] != b"DICM":
        raise PermanentError("neither a DICOM file (those have DICM at byte 128) nor a PNG or JPEG picture")
    return None
