"""JSON files, plain or zipped, as posteriordb keeps them; what is damaged is named."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from pyro_vae.errors import OutputError


def find(path: Path) -> Path | None:
    """``path``, or the same with ``.zip`` behind it, whichever is there."""
    return next((file for file in (path, path.with_name(f"{path.name}.zip")) if file.is_file()), None)


def read_json(path: Path) -> Any:
    """What ``path`` (``NAME.json``), or ``NAME.json.zip`` beside it, holds.

    Raises: ``OutputError`` naming the file, if it is not there, or is no zip file, or no JSON.
    """
    file = find(path)
    if file is None:
        raise OutputError(f"{path}: expected this file, or {path.name}.zip, in posteriordb; neither is there.")
    try:
        text = _unzipped(file) if file.suffix == ".zip" else file.read_text(encoding="utf-8")
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise OutputError(f"{file}, line {error.lineno}: not JSON ({error.msg}). {_AGAIN}") from error
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        raise OutputError(f"{file} cannot be read: {error}. {_AGAIN}") from error


_AGAIN = "Is the clone whole? `git checkout -- .` in it brings its files back."


def _unzipped(file: Path) -> str:
    """The text of the one JSON file in a zip."""
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json")]
        if len(names) != 1:
            raise ValueError(f"expected one JSON file in it, got {archive.namelist()}")
        return archive.read(names[0]).decode("utf-8")
