"""echo-node: a DICOM node that drafts chest X-ray reports with the ECHO block-diffusion model.

The names in `__all__` are the public interface; `__init__.pyi` lists the module of each. A name is
loaded when it is first used, so that `import echo_node` alone imports neither torch nor pydicom.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
