"""RAD and DCD: training of block-diffusion report writers on exported studies and on phantoms.

The names in `__all__` are the public interface; `__init__.pyi` lists the module of each. A name is
loaded when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
