"""A study in the node: instances received, images selected, images left unread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from echo_node.domain.studies.appearance import Sight
from echo_node.domain.studies.attributes import NOT_READ, StudyAttributes


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """UIDs of one SOP instance, checked, and the transfer syntax of its data set.

    Attributes:
        study_instance_uid: Study Instance UID.
        series_instance_uid: Series Instance UID.
        sop_instance_uid: SOP Instance UID.
        sop_class_uid: SOP Class UID.
        transfer_syntax_uid: transfer syntax of its data set.
        subject: digest of the values that name patient and order, the same in every transfer
            syntax; empty if they were not read. It is never stored.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    subject: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """An instance that arrived over the network and has no row yet.

    Attributes:
        identity: its UIDs.
        calling_ae_title: AE title of the sender.
        urgent: whether the sender's studies are urgent.
    """

    identity: InstanceIdentity
    calling_ae_title: str
    urgent: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance that is durable and has a row.

    Attributes:
        identity: its UIDs.
        path: its file.
        data_set_sha256: SHA-256 of the encoded data set, byte for byte as received.
        calling_ae_title: AE title of the sender; empty for a file that no peer sent.
    """

    identity: InstanceIdentity
    path: Path
    data_set_sha256: str
    calling_ae_title: str = ""


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """An instance's file that is durable and has no row yet.

    Attributes:
        path: path in the spool.
        data_set_sha256: SHA-256 of the encoded data set, byte for byte as received.
        size_bytes: size of the file, including its file meta information (PS3.10).
    """

    path: Path
    data_set_sha256: str
    size_bytes: int


class Greyscale(StrEnum):
    """Mapping from stored values to grey values; a model needs the one of its training."""

    WINDOW = "window"
    """The image as a viewer shows it: by its own window or look-up table."""
    MINMAX_EQUALISED = "minmax-equalised"
    """As in published chest X-ray JPEGs: least to greatest value, then histogram equalisation."""


class HeaderRemark(StrEnum):
    """Remark for the reader of a draft on how the header of an image was read and followed."""

    REPAIRED_TEXT = "its texts are in another character set than it states"
    """They were read in the only character set that they can be in."""
    UNREADABLE_TEXT = "a text cannot be read in the character set that it states"
    """A person name or another text is left out."""
    OTHER_DISPLAY = "its first window or look-up table leaves almost nothing visible"
    """Another one that it states is used."""
    RANGE_DISPLAYED = "no window or look-up table of it leaves enough visible"
    """The range of its values is displayed."""
    PADDING_IGNORED = "its padding value covers parts of the picture"
    """It is displayed as any other value."""


@dataclass(frozen=True, slots=True)
class GreyImage:
    """An 8-bit image as a radiologist views it: rows from top to bottom, 0 is black.

    The patient's left is on the image's right.

    Attributes:
        width: number of columns.
        height: number of rows.
        pixels: `height * width` bytes.
        remarks: what the header states about the display and was not followed.
    """

    width: int
    height: int
    pixels: bytes
    remarks: tuple[HeaderRemark, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or len(self.pixels) != self.width * self.height:
            raise ValueError("a GreyImage needs height * width bytes of pixels")


@dataclass(frozen=True, slots=True)
class ImageKind:
    """Kind of an image, as far as its header states it and the view check saw it.

    Attributes:
        view: `PA`, `AP`, `frontal`, `lateral`, or another view of selection.toml; empty if unknown.
        companion: kind of companion images that it belongs to; empty for a standard image.
        sight: result of the view check; None if it did not look.
    """

    view: str = ""
    companion: str = ""
    sight: Sight | None = None


UNKNOWN_KIND = ImageKind()


@dataclass(frozen=True, slots=True)
class SelectedImage:
    """An image that the model reads, with everything that the forms of a draft say about it.

    Attributes:
        instance: the stored image.
        view: its view: `PA`, `AP`, or `frontal` if neither is known.
        is_view_stated: whether the header states the view; false if the view check recognised it.
        looks_mirrored: whether the heart seems to be on the patient's right.
        looks_doubtful: whether the view check is not sure of an upright frontal chest.
        is_body_part_stated: whether the header states the body part; false if the view check
            recognised it.
        is_orientation_stated: whether the header states which side is left.
        kind: what it is, and what the view check saw.
        attributes: attributes of its header that documents repeat.
        header_remarks: remarks on how its header was read.
    """

    instance: StoredInstance
    view: str
    is_view_stated: bool = True
    looks_mirrored: bool = False
    looks_doubtful: bool = False
    is_body_part_stated: bool = True
    is_orientation_stated: bool = True
    kind: ImageKind = field(default=UNKNOWN_KIND, compare=False)
    attributes: StudyAttributes = field(default=NOT_READ, repr=False)
    header_remarks: tuple[HeaderRemark, ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadImage:
    """An image of the study that the model does not read.

    Attributes:
        identity: its UIDs.
        reason: reason for the radiologist.
        kind: what it is, as far as that is known.
    """

    identity: InstanceIdentity
    reason: str
    kind: ImageKind = field(default=UNKNOWN_KIND, compare=False)


@dataclass(frozen=True, slots=True)
class StudyImage:
    """An image of the study. `reason` explains why it is not read; it is empty if it is read."""

    identity: InstanceIdentity
    kind: ImageKind
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Images of a study that the model reads, at least one, and images that it does not."""

    images: tuple[SelectedImage, ...]
    unread: tuple[UnreadImage, ...]

    @property
    def primary(self) -> SelectedImage:
        """The image that stands for the study: documents take patient, study and order from it."""
        return self.images[0]

    def displayed(self, image: GreyImage) -> Selection:
        """Return the selection with the remarks on the display of its primary image."""
        remarks = tuple(dict.fromkeys((*self.primary.header_remarks, *image.remarks)))
        return replace(self, images=(replace(self.primary, header_remarks=remarks), *self.images[1:]))

    @property
    def candidates(self) -> tuple[StudyImage, ...]:
        """Every image of the study with what it is, those that are read first."""
        return (
            *(StudyImage(each.instance.identity, each.kind) for each in self.images),
            *(StudyImage(each.identity, each.kind, each.reason) for each in self.unread),
        )

    @property
    def sop_instance_uids(self) -> list[str]:
        """SOP Instance UIDs of the images that are read."""
        return [image.instance.identity.sop_instance_uid for image in self.images]

    @property
    def digest(self) -> str:
        """SHA-256 of the images that are read: of their UIDs and contents, in any order."""
        lines = sorted(
            f"{image.instance.identity.sop_instance_uid} {image.instance.data_set_sha256}\n"
            for image in self.images
        )
        return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()
