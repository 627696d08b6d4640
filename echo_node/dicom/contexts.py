"""What the node receives and sends: SOP classes and transfer syntaxes, read from contexts.toml.

At the front door of a study's way; knows no network and no data set. The conformance statement's
tables are generated from here.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.presentation import PresentationContext, build_context

from echo_node.domain.identifiers import is_valid_uid
from echo_node.errors import ConfigError
from echo_node.resources import packaged_folder


@dataclass(frozen=True, slots=True)
class NamedUid:
    """A SOP class or transfer syntax by its name and UID (PS3.6 Annex A)."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A storage SOP class that is received.

    Attributes:
        name: its name in the Standard.
        uid: its UID.
        drafted: whether a report may be drafted from its images.
        unread_reason: why not, in words for a radiologist; empty when it may.
    """

    name: str
    uid: str
    drafted: bool
    unread_reason: str


@dataclass(frozen=True, slots=True)
class Contexts:
    """Everything that associations are negotiated from."""

    verification: NamedUid
    commitment: NamedUid
    query: NamedUid
    storage: tuple[StorageClass, ...]
    transfer_syntaxes: tuple[NamedUid, ...]
    sent: tuple[NamedUid, ...]

    def storage_class(self, uid: str) -> StorageClass | None:
        """Return the received storage class with this UID."""
        return next((each for each in self.storage if each.uid == uid), None)

    def supported(self) -> list[PresentationContext]:
        """Return the presentation contexts that the provider accepts.

        C-ECHO is offered uncompressed only, as nothing is encoded there.
        """
        syntaxes = [each.uid for each in self.transfer_syntaxes]
        contexts = [build_context(self.verification.uid, self._uncompressed)]
        contexts += [build_context(each.uid, syntaxes) for each in self.storage]
        return contexts

    def commitment_context(self, *, is_provider: bool) -> PresentationContext:
        """Return the context of storage commitment that is accepted.

        Destinations and archives report under it, being its provider, by role selection or without;
        modalities ask under it where we are the provider too.
        """
        context = build_context(self.commitment.uid, self._uncompressed)
        context.scu_role, context.scp_role = is_provider, True
        return context

    def commitment_proposal(self, *, is_provider: bool) -> PresentationContext:
        """Return the context of storage commitment that is proposed, as its user or as its provider."""
        context = build_context(self.commitment.uid, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
        if is_provider:
            context.scu_role, context.scp_role = False, True
        return context

    def query_proposal(self) -> PresentationContext:
        """Return the context of the query of studies that is proposed."""
        return build_context(self.query.uid, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])

    @property
    def _uncompressed(self) -> list[str]:
        compressed = ("1.2.840.10008.1.2.4", "1.2.840.10008.1.2.5")
        return [each.uid for each in self.transfer_syntaxes if not each.uid.startswith(compressed)]


@cache
def contexts() -> Contexts:
    """Return what contexts.toml says.

    Raises:
        ConfigError: the file is broken; the message names the entry.
    """
    path = packaged_folder("dicom_config") / "contexts.toml"
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
        loaded = Contexts(
            verification=NamedUid(**table["verification"]),
            commitment=NamedUid(**table["commitment"]),
            query=NamedUid(**table["query"]),
            storage=tuple(
                StorageClass(
                    each["name"], each["uid"], bool(each["drafted"]), str(each.get("unread_reason", ""))
                )
                for each in table["storage"]
            ),
            transfer_syntaxes=tuple(NamedUid(**each) for each in table["transfer_syntax"]),
            sent=tuple(NamedUid(**each) for each in table["sent"]),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot be used: {error}") from error
    entries: tuple[NamedUid | StorageClass, ...] = (
        loaded.verification, loaded.commitment, loaded.query, *loaded.storage, *loaded.transfer_syntaxes,
        *loaded.sent,
    )  # fmt: skip
    for entry in entries:
        if not is_valid_uid(entry.uid):
            raise ConfigError(f"{path}: '{entry.name}' has no valid UID")
    for storage_class in loaded.storage:
        if not storage_class.drafted and not storage_class.unread_reason:
            raise ConfigError(f"{path}: '{storage_class.name}' is not drafted and needs an unread_reason")
    return loaded
