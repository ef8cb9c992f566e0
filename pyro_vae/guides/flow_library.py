"""zuko, imported without what it changes for everybody: torch's argument validation.

``import zuko`` sets ``Distribution._validate_args = False`` for every distribution of the process. Here it is put back.
"""

from __future__ import annotations

import functools
from types import ModuleType

from torch.distributions import Distribution

from pyro_vae.errors import OptionError


@functools.cache
def zuko() -> ModuleType:
    """The module, imported at the first call.

    Raises :class:`~pyro_vae.errors.OptionError` where it is not installed.

    >>> from torch.distributions import Distribution
    >>> before = Distribution._validate_args
    >>> zuko().__name__, Distribution._validate_args == before
    ('zuko', True)
    """
    before = Distribution._validate_args
    try:
        import zuko as library
    except ImportError as error:
        raise OptionError("Flow guides need the library zuko: pip install zuko.") from error
    finally:
        Distribution._validate_args = before
    return library
