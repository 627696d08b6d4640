"""echo-node: a DICOM node that drafts chest X-ray reports with the ECHO block-diffusion model."""

__version__ = "0.1.0"
