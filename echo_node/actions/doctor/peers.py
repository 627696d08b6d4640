"""Checks of destinations, forms of the draft, the archive of priors, and each peer."""

from __future__ import annotations

from collections.abc import Iterator

from echo_node.actions.doctor.check import Check, Grade
from echo_node.errors import ConfigError, EchoNodeError
from echo_node.settings import Peer, Settings


def check_delivery(settings: Settings) -> Iterator[Check]:
    """Check destinations, forms of the draft, the archive of priors, and each peer."""
    if not settings.delivery.destinations:
        yield Check(
            "delivery",
            Grade.NOTE,
            "no destination: drafts stay in the outbox",
            "--pacs AE@host:port, or delivery.destinations",
        )
    yield check_forms(settings)
    yield from check_priors(settings)
    for name in settings.peers:
        yield from check_peer(settings, name)


def check_forms(settings: Settings) -> Check:
    """Check whether the node can make every form of the draft that destinations receive."""
    from echo_node.wiring.destinations import encoders

    try:
        kinds = [each.kind for each in encoders(settings)]
    except ConfigError as error:
        return Check("documents", Grade.FAILED, str(error), "or remove it from the peer's kinds")
    return Check("documents", Grade.OK, ", ".join(kinds))


def check_priors(settings: Settings) -> Iterator[Check]:
    """Check whether the archive of prior studies answers, if one is configured."""
    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.dicom.priors import prior_finder

    configure_libraries()
    finder = prior_finder(settings.priors, settings.peers, settings.node.ae_title)
    if finder is None:
        return
    try:
        finder.probe()
    except EchoNodeError as error:
        remedy = (
            "check [priors], and that the archive lets our AE title query; "
            "until then drafts are made without priors"
        )
        yield Check("priors", Grade.FAILED, str(error), remedy)
    else:
        protocol = "QIDO-RS" if settings.priors.qido_url else "C-FIND"
        yield Check("priors", Grade.OK, f"{finder.archive} answers {protocol}")


def check_peer(settings: Settings, name: str) -> Iterator[Check]:
    """Check whether a peer is reachable: by C-ECHO at its host, by MLLP at its mllp_url."""
    peer = settings.peers[name]
    if peer.host:
        yield _check_echo(settings, name, peer)
    if peer.mllp_url:
        yield _check_mllp(settings, name, peer)


def _check_echo(settings: Settings, name: str, peer: Peer) -> Check:
    from echo_node.dicom.library_settings import configure_libraries
    from echo_node.dicom.scu.c_store import Sender

    configure_libraries()
    address = f"{peer.ae_title} at {peer.host}:{peer.port}"
    try:
        Sender(settings.node.ae_title, settings.peers, settings.delivery.timeout_s).echo(name)
    except EchoNodeError as error:
        # Modalities seldom answer C-ECHO; a destination and an archive must.
        is_needed = name in {*settings.delivery.destinations, *settings.archive, settings.priors.peer}
        remedy = "check its host, port and AE title, and that it knows our AE title"
        grade = Grade.FAILED if is_needed else Grade.NOTE
        return Check(f"peer {name}", grade, f"{address}: {error}", remedy)
    return Check(f"peer {name}", Grade.OK, f"{address} answers C-ECHO")


def _check_mllp(settings: Settings, name: str, peer: Peer) -> Check:
    from echo_node.hl7.mllp import MllpSender

    try:
        MllpSender(settings.peers, settings.delivery.timeout_s).probe(name)
    except EchoNodeError as error:
        return Check(f"peer {name}", Grade.FAILED, str(error), "check its mllp_url and its certificate")
    return Check(f"peer {name}", Grade.OK, f"{peer.mllp_url} accepts connections")
