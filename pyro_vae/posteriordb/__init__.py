"""Posteriors with known answers, read from a local clone of posteriordb: data, reference draws, summaries.

NumPy and the standard library alone. The Pyro programs for these posteriors lie in ``models/posteriordb``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.posteriordb.database import Clone as Clone
    from pyro_vae.posteriordb.database import Folders as Folders
    from pyro_vae.posteriordb.database import open_database as open_database
    from pyro_vae.posteriordb.posterior import Posterior as Posterior

_HOME = {"Clone": "database", "Folders": "database", "Posterior": "posterior", "open_database": "database"}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
