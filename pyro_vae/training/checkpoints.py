"""The checkpoints of a run: the last two are kept, and where the newer one is damaged the older one is used."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyro_vae.errors import OutputError
from pyro_vae.training.storage import read_tree, write_tree


def previous_of(path: Path) -> Path:
    """Where the checkpoint before the one at ``path`` is kept.

    >>> previous_of(Path("run/vae.safetensors")).as_posix()
    'run/vae.previous.safetensors'
    """
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def is_there(path: Path) -> bool:
    """Whether a checkpoint, or the one before it, is at ``path``."""
    return path.is_file() or previous_of(path).is_file()


class Checkpoints:
    """Checkpoints at one path. At every moment, whole files are there: the newest that was written, and one older.

    ``good`` says that the file at ``path`` is one of this run, found or left whole: only such a one is kept as the
    previous one.
    """

    def __init__(self, path: Path):
        self.path = path
        self.good = False
        self.resumed = False

    def read(self) -> dict[str, Any]:
        """The newest whole checkpoint.

        Warns where that is the previous one. Raises :class:`~pyro_vae.errors.OutputError` naming the path when
        there is none.
        """
        self.resumed = True
        try:
            tree = read_tree(self.path)
        except OutputError as error:
            older = previous_of(self.path)
            if not older.is_file():
                raise
            try:
                tree = read_tree(older)
            except OutputError as also:
                raise OutputError(f"{error} The one before it cannot be used either: {also}") from also
            warnings.warn(f"{error} Going on from the checkpoint before it, {older}.", stacklevel=2)
            return tree
        self.good = True
        return tree

    def write(self, tree: dict[str, Any]) -> Path:
        """Write a checkpoint; the one that was there becomes the previous one."""
        if self.good:
            self._keep()
        path = write_tree(self.path, tree)
        if not self.good and not self.resumed:  # one of another run would be taken for this one's
            with suppress(OSError):
                previous_of(self.path).unlink(missing_ok=True)
        self.good = True
        return path

    def _keep(self) -> None:
        """The file also under the previous one's name, so that it is never missing in between."""
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.kept")
        try:
            os.link(self.path, beside)
            os.replace(beside, previous_of(self.path))
        except FileNotFoundError:  # somebody took it away
            return
        except OSError:  # a file system without links
            with suppress(OSError):
                os.replace(self.path, previous_of(self.path))
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
