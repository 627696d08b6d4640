"""Typed, frozen configuration: every setting, its default and what it means.

The values come from files, the environment and the command line (see the package config); each part of
the node is given just its own section. Importing this module must stay light: no torch, no pydicom.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from echo_node.errors import ConfigError


class Role(StrEnum):
    """What one process does; `all` runs each of the others in a process of its own."""

    ALL = "all"
    RECEIVE = "receive"
    INFER = "infer"
    DELIVER = "deliver"
    WEB = "web"


class DocumentKind(StrEnum):
    """The forms that a draft can be given; the text is the same in all of them."""

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
        raise ValueError("begins with https:// or http://, such as https://pacs.example.org/dicom-web")
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
        raise ValueError("has the form mllp://host:port, or mllps://host:port for TLS")
    return value


MllpUrl = Annotated[str, AfterValidator(_mllp_url)]


def _storage_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not value:
        return value
    if not separator or not scheme.isalnum() or not rest.strip("/"):
        raise ValueError("is empty, or a URL such as s3://bucket/prefix or file:///mnt/echo")
    if f"{scheme}://" == _FILE and not rest.startswith("/"):
        raise ValueError("names an absolute folder after file://, such as file:///mnt/echo")
    if "@" in rest.partition("/")[0]:
        raise ValueError("holds no credentials: they belong into the environment")
    return value


_FILE = "file://"

StorageUrl = Annotated[str, AfterValidator(_storage_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsSection(BaseModel):
    """A group of settings; an unknown name in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class NodeSettings(SettingsSection):
    """Who the node is and where it keeps things."""

    ae_title: AETitle = "ECHO_NODE"
    """The AE title that modalities and the PACS know this node by."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - a DICOM node listens on the network; allow-lists restrict it
    """The address to listen on; 127.0.0.1 accepts this machine only."""
    port: Port = 11112
    """The DICOM port; 0 takes any free one."""
    data_dir: Path = Path("echo-data")
    """The folder of the spool, the outbox and the default database."""
    role: Role = Role.ALL
    """Which part of the node this process runs."""


class IntakeSettings(SettingsSection):
    """Receiving studies."""

    require_called_ae_title: bool = True
    """Refuse associations that call another AE title than ours."""
    allowed_calling_ae_titles: tuple[AETitle, ...] = ()
    """Only these may send; empty lets anyone. Peers with `host` set are also held to that address."""
    study_idle_s: float = Field(default=60.0, gt=0)
    """A study is complete when no instance has arrived for this long."""
    study_forced_s: float = Field(default=900.0, gt=0)
    """A study is complete this long after its first instance, whatever still arrives."""
    maximum_pdu_bytes: int = Field(default=131_072, ge=0)
    """The largest PDU we accept; 0 means no limit."""
    processes: int = Field(default=1, ge=1, le=64)
    """How many processes receive on the one port (SO_REUSEPORT); connections are spread over them."""
    maximum_associations: int = Field(default=32, ge=1)
    """How many associations may be open at once, in all processes; further ones are refused as transient."""
    acse_timeout_s: float = Field(default=30.0, gt=0)
    """How long an association may take to be negotiated."""
    network_timeout_s: float = Field(default=60.0, gt=0)
    """How long an association may be silent."""
    minimum_free_bytes: int = Field(default=512 * 1024 * 1024, ge=0)
    """Below this much free disk, C-STORE is answered 0xA700 before anything is written."""
    commitment_archive: str = ""
    """The peer whose storage commitment is passed on to modalities that ask us; empty takes no requests."""


class SelectionSettings(SettingsSection):
    """Which images may be drafted from, beyond what selection.toml tells of chest and view."""

    minimum_age_years: int = Field(default=18, ge=0, le=120)
    """Studies of younger patients are skipped: the model has not learnt from them. 0 reads every age; so
    does a header that tells no age."""
    burned_in_annotation: Literal["skip", "read"] = "skip"
    """What becomes of an image whose header says that there is text in its pixels."""
    view_check: Literal["refuse", "read", "off"] = "refuse"
    """What the check of the picture may do: `refuse` an image that is surely no upright frontal chest,
    whatever its header says; `read` also lets it recognise the view where the header states none, and the
    draft says so; `off`: headers alone decide. It has learnt from phantoms only."""


class PriorsSettings(SettingsSection):
    """Looking for the patient's earlier chest radiographs, to name the newest in the draft; none is read."""

    peer: str = ""
    """The peer whose archive is asked by C-FIND; with `qido_url` empty too, none is asked."""
    qido_url: HttpUrl = ""
    """A DICOMweb service that is asked by QIDO-RS instead."""
    qido_token: str = ""
    """The bearer token for it; best in the environment: ECHO_NODE_PRIORS__QIDO_TOKEN."""
    time_limit_s: float = Field(default=5.0, gt=0, le=60)
    """How long a draft waits for the archive at most; it is asked while the model writes."""
    within_years: int = Field(default=10, ge=1, le=100)
    """How far back a prior is looked for."""


class DatabaseSettings(SettingsSection):
    """The SQL database: SQLite or PostgreSQL."""

    url: str = ""
    """An SQLAlchemy URL; empty means SQLite in the data folder. A password belongs into the environment."""


class StorageSettings(SettingsSection):
    """Where images and drafts are kept."""

    url: StorageUrl = ""
    """Empty: the data folder; or what several machines share: `file:///folder`, `s3://bucket/prefix`."""
    endpoint_url: HttpUrl = ""
    """The address of an S3 service that is not Amazon's. Credentials belong into the environment."""
    timeout_s: float = Field(default=10.0, gt=0)
    """How long an object store may be silent before it is asked again, three times in all."""

    @property
    def folder(self) -> Path | None:
        """The folder that the URL names; None if it names none."""
        return Path(self.url.removeprefix(_FILE)) if self.url.startswith(_FILE) else None

    @property
    def is_remote(self) -> bool:
        """Whether it is an object store."""
        return bool(self.url) and self.folder is None


class ModelSettings(SettingsSection):
    """The model that drafts."""

    name: str = "echo-demo"
    """A shipped model's name, or the folder of a checkpoint."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it runs; `auto` takes the GPU if there is one."""
    threads: int = Field(default=0, ge=0)
    """CPU threads for the model; 0 leaves it to PyTorch."""
    decoder: Literal["one_step", "adaptive", "multi_step"] = "adaptive"
    """How blocks are written: one forward each, up to four where needed, or as many as it takes."""
    confidence_threshold: float = Field(default=0.78, gt=0, le=1)
    """Adaptive and multi-step: a token is committed when its probability is at least this."""
    check: Literal["off", "mark", "repair"] = "mark"
    """Whether blocks in doubt are checked, and improbable words are marked or written anew."""
    greyscale: Literal["auto", "window", "minmax-equalised"] = "auto"
    """How grey values are made of DICOM images; `auto` as the checkpoint's preprocessor_config.json says."""
    max_new_tokens: int = Field(default=320, ge=8, le=4096)
    """The longest draft; one that has not ended by then is not sent."""


class QueueSettings(SettingsSection):
    """Drafting jobs."""

    lease_s: float = Field(default=120.0, gt=0)
    """A worker that has not renewed its claim for this long has lost it."""
    heartbeat_s: float = Field(default=20.0, gt=0)
    """How often a worker renews its claim."""
    poll_s: float = Field(default=0.5, gt=0)
    """How often an idle worker looks for work."""
    attempts: int = Field(default=5, ge=1)
    """How often a job is tried before it becomes a dead letter."""
    worker_losses: int = Field(default=2, ge=1)
    """A job whose worker died so many times becomes a dead letter, so that the rest goes on."""
    first_delay_s: float = Field(default=5.0, gt=0)
    """The wait after a first failure; it doubles each time."""
    longest_delay_s: float = Field(default=600.0, gt=0)
    """The longest wait between tries."""


class DeliverySettings(SettingsSection):
    """Sending drafts to the PACS."""

    destinations: tuple[str, ...] = ()
    """Names of the peers that get each draft; empty keeps drafts in the outbox."""
    attempts: int = Field(default=60, ge=1)
    """How often a delivery is tried before it becomes a dead letter."""
    first_delay_s: float = Field(default=5.0, gt=0)
    """The wait after a first failure; it doubles each time."""
    longest_delay_s: float = Field(default=900.0, gt=0)
    """The longest wait between tries."""
    timeout_s: float = Field(default=30.0, gt=0)
    """How long a peer may take to answer."""
    lease_s: float = Field(default=120.0, gt=0)
    """A sender that has not finished within this has lost its claim."""
    commitment_patience_s: float = Field(default=3600.0, gt=0)
    """A destination or archive that has not answered for storage commitment by then is asked again."""
    withdraw_on: Literal["patient-or-order", "patient", "never"] = "patient-or-order"
    """A draft is withdrawn when a later image of its study names another patient, or another order."""


class RetentionSettings(SettingsSection):
    """When the images of finished studies are removed; rows and drafts stay.

    Finished: every destination has the draft, or the study was skipped. Nothing else is ever removed.
    """

    keep_days: float = Field(default=0.0, ge=0)
    """Images are removed this long after their study was finished; 0 keeps them."""
    maximum_disk_share: float = Field(default=0.0, ge=0, le=1)
    """With more of the disk in use than this share, the studies finished first lose theirs; 0 never."""


class WebSettings(SettingsSection):
    """The health and metrics endpoints."""

    bind_address: str = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8042
    """The HTTP port; 0 takes any free one."""


class LogSettings(SettingsSection):
    """Logs: events with surrogate ids, never patient data."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe event that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """`auto` writes JSON lines unless standard error is a terminal."""


class Peer(SettingsSection):
    """Another application entity: a modality that sends, or a PACS that is sent to."""

    ae_title: AETitle
    """Its AE title; of a reporting system that is reached by HL7, any name."""
    host: str = ""
    """Its host name or address; empty for a sender that may come from anywhere."""
    port: Port = 104
    """Its DICOM port."""
    study_idle_s: float | None = Field(default=None, gt=0)
    """Overrides `intake.study_idle_s` for studies from this peer."""
    urgent: bool = False
    """Studies from this peer are drafted before those of others."""
    stow_url: HttpUrl = ""
    """A destination is sent drafts by STOW-RS to this DICOMweb service instead of by C-STORE."""
    stow_token: str = ""
    """The bearer token for it; best in the environment, such as ECHO_NODE_PEERS__PACS__STOW_TOKEN."""
    storage_commitment: bool = False
    """A destination is asked to commit to each draft; it must know our AE title and port to answer."""
    kinds: tuple[DocumentKind, ...] = ()
    """The forms of the draft that a destination gets; empty means `basic-text-sr`, or `oru-r01` by HL7."""
    mllp_url: MllpUrl = ""
    """A reporting system is sent drafts as HL7 ORU^R01 to this address, instead of DICOM objects."""

    @property
    def documents(self) -> tuple[DocumentKind, ...]:
        """The forms of the draft that it gets as a destination."""
        default = DocumentKind.ORU_R01 if self.mllp_url else DocumentKind.BASIC_TEXT_SR
        return tuple(dict.fromkeys(self.kinds)) or (default,)


class Settings(SettingsSection):
    """Everything. Sections are handed out one by one; only node.py and roles/ hold the whole."""

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
        """Check what spans sections."""
        if self.intake.processes > 1 and self.node.port == 0:
            raise ConfigError("intake.processes needs a port that they can share: set node.port")
        if self.storage.is_remote and self.retention.maximum_disk_share:
            raise ConfigError(
                "retention.maximum_disk_share is for folders, and storage.url names an object store, "
                "which is never full: use retention.keep_days"
            )
        if self.storage.endpoint_url and not self.storage.is_remote:
            raise ConfigError("storage.endpoint_url needs a storage.url such as s3://bucket/prefix")
        archive = self.intake.commitment_archive
        if archive and archive not in self.peers:
            raise ConfigError(f"intake.commitment_archive names '{archive}', which is not among the peers")
        if archive and not self.peers[archive].host:
            raise ConfigError(f"peer '{archive}' is asked for storage commitment and needs a host")
        _check_priors(self.priors, self.peers)
        for name in self.delivery.destinations:
            if name not in self.peers:
                raise ConfigError(f"delivery.destinations names '{name}', which is not among the peers")
            _check_destination(name, self.peers[name])

    @property
    def documents_by_destination(self) -> dict[str, tuple[DocumentKind, ...]]:
        """Which forms of the draft each destination gets."""
        return {name: self.peers[name].documents for name in self.delivery.destinations}

    @property
    def documents(self) -> tuple[DocumentKind, ...]:
        """The forms in which drafts are made: all that some destination gets, or one for the outbox."""
        wanted = {kind for kinds in self.documents_by_destination.values() for kind in kinds}
        return tuple(kind for kind in DocumentKind if kind in wanted) or (DocumentKind.BASIC_TEXT_SR,)

    @property
    def committing(self) -> dict[str, str]:
        """The AE titles of the destinations that are asked for storage commitment, by name."""
        peers = {name: self.peers[name] for name in self.delivery.destinations}
        return {name: peer.ae_title for name, peer in peers.items() if peer.storage_commitment}

    @property
    def archive(self) -> dict[str, str]:
        """The AE title of the archive whose commitment modalities are told of, by name; empty if of none."""
        name = self.intake.commitment_archive
        return {name: self.peers[name].ae_title} if name else {}

    @property
    def database_url(self) -> str:
        """The database's URL, the default one made from the data folder."""
        return self.database.url or f"sqlite:///{(self.node.data_dir / 'echo-node.sqlite3').resolve()}"


def _check_priors(priors: PriorsSettings, peers: Mapping[str, Peer]) -> None:
    """Refuse an archive that could not be asked."""
    if priors.peer and priors.qido_url:
        raise ConfigError("priors.peer and priors.qido_url name two archives: set one of them")
    if priors.peer and priors.peer not in peers:
        raise ConfigError(f"priors.peer names '{priors.peer}', which is not among the peers")
    if priors.peer and not peers[priors.peer].host:
        raise ConfigError(f"peer '{priors.peer}' is asked for priors and needs a host")


def _check_destination(name: str, peer: Peer) -> None:
    """Refuse a destination that could not be sent what it is to get."""
    if not (peer.host or peer.stow_url or peer.mllp_url):
        raise ConfigError(f"peer '{name}' is a destination and needs a host, a stow_url or an mllp_url")
    if peer.mllp_url and peer.documents != (DocumentKind.ORU_R01,):
        raise ConfigError(
            f"peer '{name}' has an mllp_url and gets 'oru-r01' only: for other kinds make a second peer"
        )
    if not peer.mllp_url and DocumentKind.ORU_R01 in peer.documents:
        raise ConfigError(f"peer '{name}' is to get 'oru-r01' and needs an mllp_url")
    if peer.storage_commitment and (not peer.host or peer.mllp_url):
        raise ConfigError(f"peer '{name}' is asked for storage commitment and needs a host, and no mllp_url")
