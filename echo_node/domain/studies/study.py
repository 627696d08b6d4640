"""A study as the node sees it: instances received, images selected, images left unread."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from echo_node.domain.studies.attributes import NOT_READ, StudyAttributes


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """What names one SOP instance; every UID has been checked.

    `transfer_syntax_uid` is the one that the data set is encoded in.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class ReceivedInstance:
    """One instance that has come over the network, not yet known to the database.

    Attributes:
        identity: its UIDs.
        calling_ae_title: who sent it.
        urgent: whether its sender asks for haste.
    """

    identity: InstanceIdentity
    calling_ae_title: str
    urgent: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance that is safe on disk and in the database."""

    identity: InstanceIdentity
    path: Path
    data_set_sha256: str


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """An instance's file that is durable on disk, not yet known to the database.

    Attributes:
        path: in the spool.
        data_set_sha256: of the encoded data set, byte for byte as received: the instance's digest.
        size_bytes: of the file, its file meta information (PS3.10) included.
    """

    path: Path
    data_set_sha256: str
    size_bytes: int


class Greyscale(StrEnum):
    """How grey values are made of stored ones; a model wants them as it was trained."""

    WINDOW = "window"
    """As a viewer shows the image: by its own window or look-up table."""
    MINMAX_EQUALISED = "minmax-equalised"
    """As published chest X-ray JPEGs are: from least to greatest value, equalised by histogram."""


@dataclass(frozen=True, slots=True)
class GreyImage:
    """An 8-bit image, rows top to bottom, 0 black, as a radiologist looks at it.

    The patient's left is on the image's right. `pixels` holds `height * width` bytes.
    """

    width: int
    height: int
    pixels: bytes

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or len(self.pixels) != self.width * self.height:
            raise ValueError("a GreyImage needs height * width bytes of pixels")


@dataclass(frozen=True, slots=True)
class SelectedImage:
    """An image that the model reads, with everything that the forms of a draft say about it.

    Attributes:
        instance: the stored image.
        view: its view: `PA`, `AP`, or `frontal` if neither is known.
        is_view_stated: whether the header states the view; false if the view check recognised it.
        looks_mirrored: whether the heart seems to be on the patient's right.
        is_orientation_stated: whether the header states which side is left.
        attributes: attributes of its header that documents repeat.
    """

    instance: StoredInstance
    view: str
    is_view_stated: bool = True
    looks_mirrored: bool = False
    is_orientation_stated: bool = True
    attributes: StudyAttributes = field(default=NOT_READ, repr=False)


@dataclass(frozen=True, slots=True)
class UnreadImage:
    """An image of the study that the model does not read, and the reason, in words for a radiologist."""

    identity: InstanceIdentity
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Images of a study that the model reads, at least one, and images that it does not."""

    images: tuple[SelectedImage, ...]
    unread: tuple[UnreadImage, ...]

    @property
    def primary(self) -> SelectedImage:
        """The image that stands for the study: documents take patient, study and order from it."""
        return self.images[0]

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
