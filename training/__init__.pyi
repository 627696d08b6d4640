from .datasets.build import BuildOptions, build
from .datasets.example import Candidate, Example, Found, Reader, RejectedRow
from .datasets.sources import READERS
from .distributed import Distributed
from .examples.collate import Batch
from .examples.examples import Examples
from .loop.run import run_stage
from .objectives.noise import Noise
from .objectives.objective import Metrics, Objective, Part, Share
from .phantom.dataset import PhantomDataset
from .phantom.dicom_study import write_study
from .recipe import Recipe, load_recipe
from .start.start import Start

__all__ = [
    "READERS",
    "Batch",
    "BuildOptions",
    "Candidate",
    "Distributed",
    "Example",
    "Examples",
    "Found",
    "Metrics",
    "Noise",
    "Objective",
    "Part",
    "PhantomDataset",
    "Reader",
    "Recipe",
    "RejectedRow",
    "Share",
    "Start",
    "build",
    "load_recipe",
    "run_stage",
    "write_study",
]
