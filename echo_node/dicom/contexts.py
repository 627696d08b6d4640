"""SOP classes and transfer syntaxes that the node receives and sends, from contexts.toml.

This module knows no network and no data set. The tables of the conformance statement are generated
from it.
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
    """Name and UID of a SOP class or transfer syntax (PS3.6 Annex A)."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class StorageClass:
    """A storage SOP class that the node receives.

    Attributes:
        name: name in the Standard.
        uid: SOP Class UID.
        drafted: whether a report may be drafted from its images.
        unread_reason: reason why not, for a radiologist; empty if it may.
    """

    name: str
    uid: str
    drafted: bool
    unread_reason: str


@dataclass(frozen=True, slots=True)
class Contexts:
    """SOP classes and transfer syntaxes of all associations."""

    verification: NamedUid
    commitment: NamedUid
    query: NamedUid
    storage: tuple[StorageClass, ...]
    transfer_syntaxes: tuple[NamedUid, ...]
    sent: tuple[NamedUid, ...]

    def storage_class(self, uid: str) -> StorageClass | None:
        """Return the storage class with this UID; None if the node does not receive it."""
        return next((each for each in self.storage if each.uid == uid), None)

    def supported(self) -> list[PresentationContext]:
        """Return the presentation contexts that the provider accepts.

        C-ECHO is accepted uncompressed only, because it has no data set.
        """
        syntaxes = [each.uid for each in self.transfer_syntaxes]
        contexts = [build_context(self.verification.uid, self._uncompressed)]
        contexts += [build_context(each.uid, syntaxes) for each in self.storage]
        return contexts

    def commitment_context(self, *, is_provider: bool) -> PresentationContext:
        """Return the presentation context of storage commitment that the node accepts.

        Destinations and archives, which are its providers, report under it, with role selection or
        without. Modalities send requests under it if the node is a provider too.
        """
        context = build_context(self.commitment.uid, self._uncompressed)
        context.scu_role, context.scp_role = is_provider, True
        return context

    def commitment_proposal(self, *, is_provider: bool) -> PresentationContext:
        """Return the presentation context to propose, as user or as provider of commitment."""
        context = build_context(self.commitment.uid, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
        if is_provider:
            context.scu_role, context.scp_role = False, True
        return context

    def query_proposal(self) -> PresentationContext:
        """Return the presentation context to propose for a query."""
        return build_context(self.query.uid, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])

    @property
    def _uncompressed(self) -> list[str]:
        compressed = ("1.2.840.10008.1.2.4", "1.2.840.10008.1.2.5")
        return [each.uid for each in self.transfer_syntaxes if not each.uid.startswith(compressed)]


@cache
def contexts() -> Contexts:
    """Return the content of contexts.toml.

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
