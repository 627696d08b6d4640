"""Headers of a study's instances, each read once for one job.

The identity check and the selector look at the same headers one after the other. The selector then
copies into its selection what documents repeat, so that no later step reads a header.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydicom.dataset import Dataset

from echo_node.dicom.attributes import study_attributes
from echo_node.dicom.header import Header, read_header
from echo_node.dicom.header_values import text
from echo_node.dicom.image.orientation import patient_orientation
from echo_node.domain.studies.study import SelectedImage, StoredInstance
from echo_node.errors import PermanentError


class StudyHeaders:
    """Reads the headers of a study, and keeps them for the second reader in the same job.

    Another job for the same instances has its own sequence of them, and reads the files again: a
    file that was unreadable may have come back.

    Args:
        character_set_of: function from a calling AE title to the Specific Character Set of its
            objects that state none.
    """

    def __init__(self, character_set_of: Callable[[str], Sequence[str]] = lambda _: ()) -> None:
        self._character_set_of = character_set_of
        self._kept: tuple[Sequence[StoredInstance], list[Dataset | PermanentError]] | None = None

    def read(self, instances: Sequence[StoredInstance]) -> list[Dataset | PermanentError]:
        """Return the header of each instance, or the error that says why it cannot be read."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] is instances:
            return kept[1]
        headers = [self._header_or_error(instance) for instance in instances]
        self._kept = (instances, headers)
        return headers

    def of(self, instance: StoredInstance) -> Dataset:
        """Return the header of one stored instance.

        Raises:
            PermanentError: the file cannot be read, or is damaged.
        """
        header = read_header(
            instance.path, character_set_of_sender=self._character_set_of(instance.calling_ae_title)
        )
        if text(header, "SOPInstanceUID") != instance.identity.sop_instance_uid:
            raise PermanentError("the file is damaged: it is not the instance that was received")
        return header

    def describe(self, image: SelectedImage) -> SelectedImage:
        """Implements the ImageDescriber port.

        Raises:
            PermanentError: the header cannot be read.
        """
        return described(image, self.of(image.instance))

    def _header_or_error(self, instance: StoredInstance) -> Dataset | PermanentError:
        try:
            return self.of(instance)
        except PermanentError as error:
            return error


def described(image: SelectedImage, header: Dataset) -> SelectedImage:
    """Return an image with what the forms of a draft repeat from its header."""
    return replace(
        image,
        is_orientation_stated=patient_orientation(header) is not None,
        attributes=study_attributes(header),
        header_remarks=header.remarks if isinstance(header, Header) else (),
    )
