"""A folder of results that is whole or not there, and that is known to be writable before the work starts."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyro_vae.errors import OutputError

MARKS = ("report.html", "gradients.csv")  # by which a folder is known to be one of ours


def check_folder(folder: str | Path) -> Path:
    """See now whether :func:`new_folder` will be able to write there. Nothing is left behind.

    Raises :class:`~pyro_vae.errors.OutputError` naming the path and what is wrong with it.
    """
    folder = Path(folder).expanduser()
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder} is there and is not a folder. Choose another place for the results.")
    if folder.is_dir() and any(folder.iterdir()) and not any((folder / mark).is_file() for mark in MARKS):
        raise OutputError(
            f"{folder} has files in it that are not a report's, and would have to go. Choose a folder that is empty "
            "or new."
        )
    parent = next(path for path in (folder.parent, *folder.parent.parents) if path.exists())
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=".pyro-vae-"):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error.strerror or error} ({parent}). Choose a folder that you may write to."
        ) from error
    return folder


def file_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """The names that people gave to guides, as files can have them, without an ending; none twice, none of ``taken``.

    >>> file_names(["mean-field, init 1/2", "mean-field, init 1:2"])
    {'mean-field, init 1/2': 'mean-field_init_1_2', 'mean-field, init 1:2': 'mean-field_init_1_2-2'}
    """
    found: dict[str, str] = {}
    used = set(taken)
    for name in names:
        plain = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "guide"
        file = next(
            text for text in itertools.chain([plain], (f"{plain}-{i}" for i in itertools.count(2))) if text not in used
        )
        found[name] = file
        used.add(file)
    return found


@contextmanager
def new_folder(folder: str | Path) -> Iterator[Path]:
    """A folder to write into, beside ``folder``: it takes that name if the block ends well, and is gone if not."""
    folder = check_folder(folder)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        yield part
        _put(part, folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error}. Choose a folder that you may write to.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _put(part: Path, folder: Path) -> None:
    """Give ``part`` the name of ``folder``; what had it goes once that has worked."""
    if not folder.exists():
        part.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)
