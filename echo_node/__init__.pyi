from .dicom.documents.sr_reader import ReportDocument, TextSection, read_report, read_sections
from .dicom.scu.c_store import FileResult, send_files
from .dicom.selection.from_file import read_chest_image
from .domain.drafts.draft import Content, Draft, compose
from .domain.drafts.report import EncodedDocument, Report, Sentence
from .domain.ports import ReportEncoder
from .domain.studies.study import GreyImage, Selection
from .errors import (
    CheckpointError,
    ConfigError,
    EchoNodeError,
    NotEligible,
    PermanentError,
    TransientError,
)
from .inference.generator import EchoGenerator, load_generator
from .inference.processor import EchoProcessor
from .model.checkpoint import find_checkpoint
from .model.config import EchoConfig
from .model.report_generation import EchoForReportGeneration
from .settings import ModelSettings, Peer, Settings

__all__ = [
    "CheckpointError",
    "ConfigError",
    "Content",
    "Draft",
    "EchoConfig",
    "EchoForReportGeneration",
    "EchoGenerator",
    "EchoNodeError",
    "EchoProcessor",
    "EncodedDocument",
    "FileResult",
    "GreyImage",
    "ModelSettings",
    "NotEligible",
    "Peer",
    "PermanentError",
    "Report",
    "ReportDocument",
    "ReportEncoder",
    "Selection",
    "Sentence",
    "Settings",
    "TextSection",
    "TransientError",
    "compose",
    "find_checkpoint",
    "load_generator",
    "read_chest_image",
    "read_report",
    "read_sections",
    "send_files",
]
__version__: str
