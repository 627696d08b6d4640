"""Typed, frozen configuration: every setting with its default and its meaning.

Values come from files, the environment and the command line (package `config`). Each part of the
node receives only its own section. Importing this module must stay light: no torch, no pydicom.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from echo_node.errors import ConfigError

_SINGLE_BYTE = (6, 13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203)
_MULTI_BYTE = (58, 87, 149, 159)
CHARACTER_SETS = (*(f"ISO_IR {number}" for number in _SINGLE_BYTE), "ISO_IR 192", "GB18030", "GBK")
"""Defined terms of character sets without code extensions (PS3.3 C.12.1.1.2)."""
CODE_EXTENSIONS = tuple(f"ISO 2022 IR {number}" for number in sorted((*_SINGLE_BYTE, *_MULTI_BYTE)))
"""Defined terms of character sets with code extensions (PS3.3 C.12.1.1.2)."""


class Role(StrEnum):
    """Task of one process; `all` runs each of the others in a separate process."""

    ALL = "all"
    RECEIVE = "receive"
    INFER = "infer"
    DELIVER = "deliver"
    WEB = "web"


class DocumentKind(StrEnum):
    """Form of a draft; the text is the same in all forms."""

    BASIC_TEXT_SR = "basic-text-sr"
    ENHANCED_SR = "enhanced-sr"
    COMPREHENSIVE_SR = "comprehensive-sr"
    COMPREHENSIVE_3D_SR = "comprehensive-3d-sr"
    ENCAPSULATED_PDF = "encapsulated-pdf"
    SECONDARY_CAPTURE = "secondary-capture"
    ORU_R01 = "oru-r01"


def _ae_title(value: str) -> str:
    stripped = value.strip(" ")
    if (
        not 1 <= len(stripped) <= 16
        or not stripped.isascii()
        or not stripped.isprintable()
        or "\\" in stripped
    ):
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return stripped


def _http_url(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with https:// or http://, such as https://pacs.example.org/dicom-web")
    return value


def _mllp_url(value: str) -> str:
    if not value:
        return value
    try:
        url = urlsplit(value)
        complete = url.scheme in {"mllp", "mllps"} and bool(url.hostname) and url.port is not None
    except ValueError:
        complete = False
    if not complete or url.path.strip("/") or url.query or url.username:
        raise ValueError("must have the form mllp://host:port, or mllps://host:port for TLS")
    return value


MllpUrl = Annotated[str, AfterValidator(_mllp_url)]


def _storage_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not value:
        return value
    if not separator or not scheme.isalnum() or not rest.strip("/"):
        raise ValueError("must be empty, or a URL such as s3://bucket/prefix or file:///mnt/echo")
    if f"{scheme}://" == _FILE and not rest.startswith("/"):
        raise ValueError("must name an absolute folder after file://, such as file:///mnt/echo")
    if "@" in rest.partition("/")[0]:
        raise ValueError("must not contain credentials: set them in the environment")
    return value


_FILE = "file://"


def _terms(value: str | Sequence[str]) -> Sequence[str]:
    """Return the values of Specific Character Set; an empty one means the default repertoire."""
    if not isinstance(value, str):
        return value
    return [term or "ISO 2022 IR 6" for term in value.split("\\")] if value else []


def _character_set(terms: tuple[str, ...]) -> tuple[str, ...]:
    for term in terms:
        if term not in (*CHARACTER_SETS, *CODE_EXTENSIONS):
            nearest = difflib.get_close_matches(term.upper(), (*CHARACTER_SETS, *CODE_EXTENSIONS), 1, 0.5)
            known = f"did you mean '{nearest[0]}'?" if nearest else "such as 'ISO_IR 100' or 'GB18030'"
            raise ValueError(f"'{term}' is not a defined term of Specific Character Set; {known}")
        if len(terms) > 1 and term not in CODE_EXTENSIONS:
            raise ValueError(f"'{term}' allows no other character set next to it: only 'ISO 2022 IR …' do")
    return terms


StorageUrl = Annotated[str, AfterValidator(_storage_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=0, le=65535)]
CharacterSet = Annotated[tuple[str, ...], BeforeValidator(_terms), AfterValidator(_character_set)]


class SettingsSection(BaseModel):
    """Group of settings; an unknown name in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class NodeSettings(SettingsSection):
    """Name, address and data folder of the node."""

    ae_title: AETitle = "ECHO_NODE"
    """AE title by which modalities and the PACS know this node."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - a DICOM node listens on the network; allow-lists restrict it
    """Address to listen on; 127.0.0.1 accepts this machine only."""
    port: Port = 11112
    """DICOM port; 0 takes any free port."""
    data_dir: Path = Path("echo-data")
    """Folder of the spool, the outbox and the default database."""
    role: Role = Role.ALL
    """Part of the node that this process runs."""


class IntakeSettings(SettingsSection):
    """Receiving of studies."""

    require_called_ae_title: bool = True
    """Whether to reject associations that call another AE title than ours."""
    allowed_calling_ae_titles: tuple[AETitle, ...] = ()
    """AE titles that may send; empty allows all. A peer with a `host` must also send from that
    address."""
    accept_blank_calling_ae_title: bool = False
    """Whether to accept associations whose calling AE title is blank, as some devices send it."""
    study_idle_s: float = Field(default=60.0, gt=0)
    """Time without a new instance after which a study is complete, in seconds."""
    study_forced_s: float = Field(default=900.0, gt=0)
    """Time after its first instance when a study is complete even if images still arrive, in
    seconds."""
    maximum_pdu_bytes: int = Field(default=131_072, ge=0)
    """Maximum size of a PDU that we accept, in bytes; 0 means no limit."""
    processes: int = Field(default=1, ge=1, le=64)
    """Number of processes that receive on the same port (SO_REUSEPORT); connections are spread over
    them."""
    maximum_associations: int = Field(default=32, ge=1)
    """Maximum number of open associations, in all processes together; the node rejects more with a
    transient result."""
    acse_timeout_s: float = Field(default=30.0, gt=0)
    """Time limit for the negotiation of an association, in seconds."""
    network_timeout_s: float = Field(default=60.0, gt=0)
    """Maximum silence of an open association, in seconds."""
    minimum_free_bytes: int = Field(default=512 * 1024 * 1024, ge=0)
    """Free disk space, in bytes, below which the node answers C-STORE with 0xA700 and writes
    nothing."""
    commitment_archive: str = ""
    """Peer whose storage commitment the node forwards to modalities that request it; empty accepts
    no requests."""
    character_set: CharacterSet = ()
    """Character set of objects that state none: a defined term such as `ISO_IR 100`, or several for
    code extensions. It also applies to files that `report` reads. Empty means ASCII."""


class SelectionSettings(SettingsSection):
    """Images that may be drafted from; selection.toml defines chest and view."""

    minimum_age_years: int = Field(default=18, ge=0, le=120)
    """Minimum age of a patient, in years: the model was not trained on younger patients. 0 reads
    every age. Images whose header states no age are read too."""
    burned_in_annotation: Literal["skip", "read"] = "skip"
    """Treatment of images whose header says that their pixels contain text."""
    view_check: Literal["refuse", "read", "off"] = "refuse"
    """Effect of the view check, which looks at the pixels. `refuse`: reject an image that does not
    look like an upright frontal chest, even if the header says it is one; if the check is not sure,
    the draft says so. `read`: the same, and recognise the view if the header states none; the draft
    then says so. `off`: use headers only. The check was trained on phantoms only."""

    companions: Literal["skip", "read"] = "skip"
    """Treatment of companion images that may stand alone: in expiration, with enhanced edges, tubes
    or lines, bone-suppressed or of soft tissue. `skip`: never read them. `read`: read one if the
    study has no standard image; the draft then says so. Bone and subtracted images are never
    read."""


class PriorsSettings(SettingsSection):
    """Search for the patient's earlier chest radiographs; the draft names only the newest."""

    peer: str = ""
    """Peer whose archive the node queries by C-FIND; without it and `qido_url` the node queries
    none."""
    qido_url: HttpUrl = ""
    """URL of a DICOMweb service that the node queries by QIDO-RS instead."""
    qido_token: str = ""
    """Bearer token for that service; preferably set in the environment, as
    ECHO_NODE_PRIORS__QIDO_TOKEN."""
    time_limit_s: float = Field(default=5.0, gt=0, le=60)
    """Maximum time that a draft waits for the archive, in seconds; the query runs while the model
    writes."""
    within_years: int = Field(default=10, ge=1, le=100)
    """Maximum age of a prior, in years."""


class DatabaseSettings(SettingsSection):
    """SQL database: SQLite or PostgreSQL."""

    url: str = ""
    """SQLAlchemy URL; empty means SQLite in the data folder. Set the password in the
    environment."""


class StorageSettings(SettingsSection):
    """Storage of images and drafts."""

    url: StorageUrl = ""
    """URL of storage that several machines share, `file:///folder` or `s3://bucket/prefix`; empty
    means the data folder."""
    endpoint_url: HttpUrl = ""
    """URL of an S3 service other than Amazon's. Set the credentials in the environment."""
    timeout_s: float = Field(default=10.0, gt=0)
    """Time without an answer after which the node repeats a request to the object store, in
    seconds; it tries three times in all."""

    @property
    def folder(self) -> Path | None:
        """Folder that the URL names; None if it names none."""
        return Path(self.url.removeprefix(_FILE)) if self.url.startswith(_FILE) else None

    @property
    def is_remote(self) -> bool:
        """Whether the storage is an object store."""
        return bool(self.url) and self.folder is None


class ModelSettings(SettingsSection):
    """Model that writes the drafts."""

    name: str = "echo-demo"
    """Name of a shipped model, or folder of a checkpoint."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device that the model runs on; `auto` uses the GPU if there is one."""
    threads: int = Field(default=0, ge=0)
    """Number of CPU threads for the model; 0 leaves it to PyTorch."""
    decoder: Literal["one_step", "adaptive", "multi_step"] = "adaptive"
    """Decoding of each block: `one_step` in one forward pass, `adaptive` in up to four if needed,
    `multi_step` in as many as it takes."""
    confidence_threshold: float = Field(default=0.78, gt=0, le=1)
    """Minimum probability at which a token is committed; for adaptive and multi-step decoding."""
    check: Literal["off", "mark", "repair"] = "mark"
    """Check of doubtful blocks: `mark` measures the confidence of each sentence, `repair` also
    rewrites improbable words, `off` does neither."""
    greyscale: Literal["auto", "window", "minmax-equalised"] = "auto"
    """Conversion of stored pixels to grey values; `auto` follows the checkpoint's
    preprocessor_config.json."""
    max_new_tokens: int = Field(default=320, ge=8, le=4096)
    """Maximum length of a draft, in tokens; a draft that has not ended by then is not sent."""


class QueueSettings(SettingsSection):
    """Drafting jobs."""

    lease_s: float = Field(default=120.0, gt=0)
    """Lease duration, in seconds; a worker that does not renew its claim in time loses it."""
    heartbeat_s: float = Field(default=20.0, gt=0)
    """Interval at which a worker renews its claim, in seconds."""
    poll_s: float = Field(default=0.5, gt=0)
    """Interval at which an idle worker looks for work, in seconds."""
    attempts: int = Field(default=5, ge=1)
    """Number of attempts after which a job becomes a dead letter."""
    worker_losses: int = Field(default=2, ge=1)
    """Number of worker deaths after which a job becomes a dead letter, so that other jobs can
    proceed."""
    first_delay_s: float = Field(default=5.0, gt=0)
    """Delay before the first retry, in seconds; doubles with each retry."""
    longest_delay_s: float = Field(default=600.0, gt=0)
    """Maximum delay between retries, in seconds."""


class DeliverySettings(SettingsSection):
    """Delivery of drafts to the PACS."""

    destinations: tuple[str, ...] = ()
    """Names of the peers that receive each draft; empty keeps drafts in the outbox."""
    attempts: int = Field(default=60, ge=1)
    """Number of attempts after which a delivery becomes a dead letter."""
    first_delay_s: float = Field(default=5.0, gt=0)
    """Delay before the first retry, in seconds; doubles with each retry."""
    longest_delay_s: float = Field(default=900.0, gt=0)
    """Maximum delay between retries, in seconds."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Time limit for a peer's answer, in seconds."""
    lease_s: float = Field(default=120.0, gt=0)
    """Lease duration, in seconds; a sender that has not finished in time loses its claim."""
    commitment_patience_s: float = Field(default=3600.0, gt=0)
    """Time after which the node repeats an unanswered request for storage commitment, in
    seconds."""
    withdraw_on: Literal["patient-or-order", "patient", "never"] = "patient-or-order"
    """Change in a later image of a study that withdraws the draft: another patient or order,
    another patient only, or none. "never" turns the comparison of objects that were set aside off
    too."""


class RetentionSettings(SettingsSection):
    """Removal of the images of finished studies; rows and drafts stay.

    A study is finished when every destination has its draft, or when it was skipped. Images of
    other studies are never removed.
    """

    keep_days: float = Field(default=0.0, ge=0)
    """Time after which the images of a finished study are removed, in days; 0 keeps them."""
    maximum_disk_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the disk in use above which the studies that finished first lose their images; 0
    removes none for this reason."""


class WebSettings(SettingsSection):
    """Endpoints for health and metrics."""

    bind_address: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8042
    """HTTP port; 0 takes any free port."""


class LogSettings(SettingsSection):
    """Logs: events with surrogate ids, never patient data."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest severity of the events that are written."""
    format: Literal["auto", "json", "console"] = "auto"
    """Format of the log; `auto` writes JSON lines unless standard error is a terminal."""


class Peer(SettingsSection):
    """Another application entity: a modality that sends to us, or a PACS that we send to."""

    ae_title: AETitle
    """AE title of the peer; any name for a reporting system that is reached by HL7."""
    host: str = ""
    """Host name or address of the peer; empty for a sender that may come from any address."""
    port: Port = 104
    """DICOM port of the peer."""
    study_idle_s: float | None = Field(default=None, gt=0)
    """Value that replaces `intake.study_idle_s` for studies from this peer."""
    uid_check: Literal["strict", "lenient"] = "lenient"
    """Treatment of UIDs of study, series and instance that break the Standard. `strict`: refuse the
    image. `lenient`, as for senders that are not listed: take leading zeros, empty components and
    up to 128 characters, and refer to the UID as it is."""
    on_conflict: Literal["hold", "replace", "keep"] = "hold"
    """Effect of other content that this peer sends under a known SOP Instance UID. `hold`: no draft
    is made or left standing until `echo-node queue resolve`. `replace`: the newer object is right,
    also if it names another patient or study; the node withdraws the draft and makes a new one.
    `keep`: the first object stays if patient and order agree; otherwise as `hold`."""
    body_part: Literal["", "CHEST"] = ""
    """Body part of all images from this peer. `CHEST`: an image whose header states no body part or
    no view is read if the view check clearly recognises a frontal chest; the draft then says so.
    Empty means that headers must state it."""
    urgent: bool = False
    """Whether studies from this peer are drafted before those of others."""
    stow_url: HttpUrl = ""
    """URL of a DICOMweb service that receives the drafts by STOW-RS instead of C-STORE."""
    stow_token: str = ""
    """Bearer token for that service; preferably set in the environment, such as
    ECHO_NODE_PEERS__PACS__STOW_TOKEN."""
    storage_commitment: bool = False
    """Whether the node asks this destination to commit to each draft; the destination must know our
    AE title and port to answer."""
    kinds: tuple[DocumentKind, ...] = ()
    """Forms of the draft that this destination receives; empty means `basic-text-sr`, or `oru-r01`
    by HL7."""
    mllp_url: MllpUrl = ""
    """Address of a reporting system that receives drafts as HL7 ORU^R01 instead of DICOM
    objects."""
    character_set: CharacterSet = ()
    """Value that replaces `intake.character_set` for objects from this peer."""

    @property
    def documents(self) -> tuple[DocumentKind, ...]:
        """Forms of the draft that this peer receives as a destination."""
        default = DocumentKind.ORU_R01 if self.mllp_url else DocumentKind.BASIC_TEXT_SR
        return tuple(dict.fromkeys(self.kinds)) or (default,)


class Settings(SettingsSection):
    """All settings. Only node.py and roles/ hold the whole; other parts receive single sections."""

    node: NodeSettings = NodeSettings()
    intake: IntakeSettings = IntakeSettings()
    selection: SelectionSettings = SelectionSettings()
    priors: PriorsSettings = PriorsSettings()
    database: DatabaseSettings = DatabaseSettings()
    storage: StorageSettings = StorageSettings()
    model: ModelSettings = ModelSettings()
    queue: QueueSettings = QueueSettings()
    delivery: DeliverySettings = DeliverySettings()
    retention: RetentionSettings = RetentionSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    peers: dict[str, Peer] = Field(default_factory=dict)

    def model_post_init(self, context: object, /) -> None:
        """Check the constraints between sections."""
        if self.intake.processes > 1 and self.node.port == 0:
            raise ConfigError("intake.processes needs a port that all of them share: set node.port")
        if self.storage.is_remote and self.retention.maximum_disk_share:
            raise ConfigError(
                "retention.maximum_disk_share works with folders only, and storage.url names an object "
                "store, which is never full: use retention.keep_days"
            )
        if self.storage.endpoint_url and not self.storage.is_remote:
            raise ConfigError("storage.endpoint_url needs a storage.url such as s3://bucket/prefix")
        archive = self.intake.commitment_archive
        if archive and archive not in self.peers:
            raise ConfigError(f"intake.commitment_archive names '{archive}', which is not among the peers")
        if archive and not self.peers[archive].host:
            raise ConfigError(f"peer '{archive}' needs a host: the node asks it for storage commitment")
        _check_priors(self.priors, self.peers)
        for name in self.delivery.destinations:
            if name not in self.peers:
                raise ConfigError(f"delivery.destinations names '{name}', which is not among the peers")
            _check_destination(name, self.peers[name])

    def character_set_of(self, calling_ae_title: str) -> tuple[str, ...]:
        """Return the character set of objects from an AE title that state none; none if unknown."""
        of_peers = (each.character_set for each in self.peers.values() if each.ae_title == calling_ae_title)
        return next(filter(None, of_peers), self.intake.character_set)

    @property
    def documents_by_destination(self) -> dict[str, tuple[DocumentKind, ...]]:
        """Forms of the draft for each destination, by its name."""
        return {name: self.peers[name].documents for name in self.delivery.destinations}

    @property
    def documents(self) -> tuple[DocumentKind, ...]:
        """Forms that the node makes: those of all destinations, or one for the outbox."""
        wanted = {kind for kinds in self.documents_by_destination.values() for kind in kinds}
        return tuple(kind for kind in DocumentKind if kind in wanted) or (DocumentKind.BASIC_TEXT_SR,)

    @property
    def committing(self) -> dict[str, str]:
        """AE titles of the destinations that are asked for storage commitment, by name."""
        peers = {name: self.peers[name] for name in self.delivery.destinations}
        return {name: peer.ae_title for name, peer in peers.items() if peer.storage_commitment}

    @property
    def archive(self) -> dict[str, str]:
        """AE title of the archive whose commitments modalities receive, by the name of its peer."""
        name = self.intake.commitment_archive
        return {name: self.peers[name].ae_title} if name else {}

    @property
    def database_url(self) -> str:
        """URL of the database; by default derived from the data folder."""
        return self.database.url or f"sqlite:///{(self.node.data_dir / 'echo-node.sqlite3').resolve()}"


def _check_priors(priors: PriorsSettings, peers: Mapping[str, Peer]) -> None:
    """Reject an archive that the node could not query."""
    if priors.peer and priors.qido_url:
        raise ConfigError("priors.peer and priors.qido_url name two archives: set one of them")
    if priors.peer and priors.peer not in peers:
        raise ConfigError(f"priors.peer names '{priors.peer}', which is not among the peers")
    if priors.peer and not peers[priors.peer].host:
        raise ConfigError(f"peer '{priors.peer}' needs a host: the node queries it for priors")


def _check_destination(name: str, peer: Peer) -> None:
    """Reject a destination that could not receive its forms of the draft."""
    if not (peer.host or peer.stow_url or peer.mllp_url):
        raise ConfigError(f"peer '{name}' is a destination and needs a host, a stow_url or an mllp_url")
    if peer.mllp_url and peer.documents != (DocumentKind.ORU_R01,):
        raise ConfigError(
            f"peer '{name}' has an mllp_url and receives 'oru-r01' only: add a second peer for other kinds"
        )
    if not peer.mllp_url and DocumentKind.ORU_R01 in peer.documents:
        raise ConfigError(f"peer '{name}' receives 'oru-r01' and needs an mllp_url")
    if peer.storage_commitment and (not peer.host or peer.mllp_url):
        raise ConfigError(
            f"peer '{name}' has storage_commitment: it needs a host and must not have an mllp_url"
        )
