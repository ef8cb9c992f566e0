"""Files that are whole or not there: what is written goes beside its place first. Any module that writes may use it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyro_vae.errors import OutputError


@contextmanager
def written_beside(path: Path, what: str) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the place of ``path`` when the block ends well. Folders are made.

    Raises: ``OutputError`` naming the path and ``what`` was to be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write {what} to {path}: {error}. Choose a path in a folder that can be written to."
        ) from error
    finally:
        with suppress(OSError):  # the folder itself may be out of reach
            part.unlink(missing_ok=True)
