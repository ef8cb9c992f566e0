"""An output file that is known to be writable before the work starts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pyro_vae.errors import OutputError


def check_file(file: str | Path) -> Path:
    """See now whether ``file`` can be written later; nothing is left behind. A file that is there will be replaced.

    Raises :class:`~pyro_vae.errors.OutputError` naming the path.
    """
    path = Path(file).expanduser()
    if path.is_dir():
        raise OutputError(f"{path} is a folder. Give the name of a file in it: {path / 'draws.nc'}.")
    parent = next(folder for folder in path.parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=parent):
            return path
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error} ({parent}). Choose a folder that you may write to."
        ) from error
