"""A study on disk: what it is in ``settings.json``, and a file per simulation that is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyro_vae.errors import OptionError, OutputError
from pyro_vae.files import written_beside
from pyro_vae.studies.calibration.study import Record

SETTINGS = "settings.json"
FOLDER = "simulations"


class Records:
    """The records of a study so far, in memory and, where there is a folder, on disk.

    Raises: :class:`~pyro_vae.errors.OptionError` for a folder with a study that is to be left alone
    (``resume=False``) or is another one, saying in what; :class:`~pyro_vae.errors.OutputError` for one that cannot be
    used.
    """

    def __init__(self, out: str | Path | None, settings: Mapping[str, Any], *, resume: bool = False):
        self.folder = None if out is None else Path(out).expanduser()
        self.settings = json.loads(json.dumps(settings))  # as they are read back
        self.found: dict[int, Record] = {}
        if self.folder is None:
            if resume:
                raise OptionError("resume=True goes on from a folder: give out=.")
            return
        if (self.folder / SETTINGS).is_file():
            self._read(resume)
        elif self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise OutputError(
                f"{self.folder} is there and holds no calibration study ({SETTINGS}). Choose a folder that is empty or "
                "new."
            )

    def begin(self) -> None:
        """Write what the study is, once it is known that it can be run."""
        if self.folder is not None:
            self._write(self.folder / SETTINGS, self.settings)

    def add(self, record: Record) -> None:
        """Keep one more record."""
        self.found[record["index"]] = record
        if self.folder is not None:
            self._write(self.folder / FOLDER / f"{record['index']:05d}.json", record)

    def of(self, simulations: int) -> list[Record]:
        """The records of the first so many simulations that there are, in their order."""
        return [self.found[index] for index in sorted(self.found) if index < simulations]

    def _read(self, resume: bool) -> None:
        assert self.folder is not None
        before = _load(self.folder / SETTINGS)
        if not resume:
            raise OptionError(
                f"{self.folder} holds a calibration study already. resume=True (--resume) goes on with it; or choose "
                "another folder."
            )
        differing = [
            f"{name} was {before.get(name)!r} and is now {self.settings.get(name)!r}"
            for name in dict.fromkeys((*before, *self.settings))
            if before.get(name) != self.settings.get(name)
        ]
        if differing:
            raise OptionError(
                f"{self.folder} holds another study, which cannot be gone on with: {'; '.join(differing)}. Choose "
                "another folder, or the settings that it began with."
            )
        for path in sorted((self.folder / FOLDER).glob("[0-9]*.json")):
            record = _load(path)
            self.found[record["index"]] = record

    def _write(self, path: Path, value: Any) -> None:
        with written_beside(path, "the study") as part:
            part.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")


def _load(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} cannot be read: {error}. Remove it; its simulation is then run again.") from error
