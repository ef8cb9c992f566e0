"""A folder of posteriordb: a clone of the repository, or one folder of three files for each posterior."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyro_vae.errors import OptionError, OutputError, ProgramError
from pyro_vae.posteriordb.naming import arrays_of
from pyro_vae.posteriordb.posterior import Arrays, Posterior
from pyro_vae.posteriordb.reading import find, read_json

VARIABLE = "POSTERIORDB"
_GET = "git clone https://github.com/stan-dev/posteriordb"


@dataclass(frozen=True)
class Clone:
    """A clone of stan-dev/posteriordb. ``root`` is its folder ``posterior_database``."""

    root: Path

    def names(self) -> list[str]:
        """All posteriors, with or without reference draws."""
        return sorted(path.stem for path in (self.root / "posteriors").glob("*.json"))

    def posterior(self, name: str) -> Posterior:
        """The posterior of that name or alias.

        Raises: ``ProgramError`` with the nearest names; ``OutputError`` naming a file that is damaged or not there.
        """
        path, entry = self._entry(name)
        reference = entry.get("reference_posterior_name")
        file = self.root / "reference_posteriors" / "draws" / "draws" / f"{reference}.json"
        return Posterior(
            name=path.stem,
            model_name=entry["model_name"],
            data=read_json(self.root / "data" / "data" / f"{entry['data_name']}.json"),
            draws=partial(_chains, file) if reference and find(file) is not None else None,
            summary=self._summary(reference) if reference else {},
            source=str(path),
        )

    def model_of(self, name: str) -> tuple[str, str]:
        """The posterior's own name and that of its model; raises as :meth:`posterior`, and reads no data."""
        path, entry = self._entry(name)
        return path.stem, entry["model_name"]

    def _entry(self, name: str) -> tuple[Path, Mapping[str, Any]]:
        """The file about a posterior and what it says."""
        aliases = self.root / "alias" / "posteriors.json"
        name = (read_json(aliases) if aliases.is_file() else {}).get(name, name)
        path = self.root / "posteriors" / f"{name}.json"
        if not path.is_file():
            raise ProgramError(unknown(name, self.names(), self.root))
        entry = read_json(path)
        missing = [key for key in ("model_name", "data_name") if not isinstance(entry, Mapping) or key not in entry]
        if missing:
            raise OutputError(f"{path}: expected an entry '{missing[0]}', as every posterior of posteriordb has.")
        return path, entry

    def _summary(self, reference: str) -> dict[str, Arrays]:
        """The means of the reference draws, where posteriordb has them.

        Its squares are rounded to ten digits: too few for the standard deviation of what lies far from 0.
        """
        file = self.root / "reference_posteriors" / "summary_statistics" / "mean_value" / "mean_value"
        if find(file / f"{reference}.json") is None:
            return {}
        known = read_json(file / f"{reference}.json")
        return _columns(known["names"], {"mean": known["mean_value"], "mcse_mean": known["mcse_mean"]}, file)


@dataclass(frozen=True)
class Folders:
    """A folder with one for each posterior: ``data.json``, ``reference.json`` and ``draws.npz``."""

    root: Path

    def names(self) -> list[str]:
        """All posteriors."""
        return sorted(path.parent.name for path in self.root.glob("*/reference.json"))

    def posterior(self, name: str) -> Posterior:
        """The posterior of that name; raises as :meth:`Clone.posterior`."""
        _, model_name = self.model_of(name)
        folder = self.root / name
        reference = read_json(folder / "reference.json")
        draws = folder / "draws.npz"
        kept = {key: reference[key] for key in ("mean", "sd", "mcse_mean") if key in reference}
        return Posterior(
            name=name,
            model_name=model_name,
            data=read_json(folder / "data.json"),
            draws=partial(_columns_of_chains, draws, reference["n_chains"]) if draws.is_file() else None,
            summary=_columns(reference["parameters"], kept, folder / "reference.json"),
            source=str(folder),
        )

    def model_of(self, name: str) -> tuple[str, str]:
        """The posterior's name and that of its model."""
        if name not in self.names():
            raise ProgramError(unknown(name, self.names(), self.root))
        file = self.root / name / "reference.json"
        reference = read_json(file)
        missing = [key for key in ("parameters", "n_chains", "source") if key not in reference]
        if missing:
            raise OutputError(f"{file}: expected an entry '{missing[0]}'.")
        return name, Path(reference["source"]["model"]).stem


def open_database(path: str | os.PathLike | None = None) -> Clone | Folders:
    """The database in that folder, or in the one that the environment variable ``POSTERIORDB`` names.

    Raises: ``OptionError`` that says how to get one, if none is named or the folder is none.
    """
    given = path or os.environ.get(VARIABLE)
    if not given:
        raise OptionError(
            "The posteriors of posteriordb need a local clone of it, and none was named. Get one with "
            f"`{_GET}`, and give its path: --posteriordb PATH, posteriordb=PATH in Python, or the environment variable "
            f"{VARIABLE}."
        )
    root = Path(given).expanduser()
    for folder in (root / "posterior_database", root):
        if (folder / "posteriors").is_dir():
            return Clone(folder)
    if any(root.glob("*/reference.json")):
        return Folders(root)
    what = "there is no such folder" if not root.is_dir() else "it has no folder posterior_database"
    raise OptionError(f"posteriordb: {root} is no clone of posteriordb: {what}. Get one with `{_GET}`.")


def unknown(name: str, names: list[str], where: object) -> str:
    """What to say of a name that there is not."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    near = near or [other for other in names if name.lower() in other.lower()][:3]
    hint = f"Nearest: {', '.join(near)}." if near else f"It has {len(names)}: pyro-vae list shows those with a program."
    return f"No posterior called '{name}' in {where}. {hint}"


def _chains(path: Path) -> Arrays:
    """Reference draws in posteriordb's JSON: a list of chains, each a dict of a list per scalar."""
    chains = read_json(path)
    file = find(path)
    if not (isinstance(chains, list) and chains and all(isinstance(chain, Mapping) for chain in chains)):
        raise OutputError(f"{file}: expected a list of chains, each with a list of draws per parameter.")
    if len({tuple(chain) for chain in chains}) > 1 or len({len(row) for chain in chains for row in chain.values()}) > 1:
        raise OutputError(f"{file}: expected the same parameters and as many draws in every chain.")
    scalars = {name: np.array([chain[name] for chain in chains], dtype=np.float64) for name in chains[0]}
    return arrays_of(scalars, file=file)


def _columns_of_chains(path: Path, chains: int) -> Arrays:
    """Reference draws in a NumPy file: ``draws`` ``[chains * draws, D]``, chain after chain, and their ``names``."""
    try:
        with np.load(path) as opened:
            draws, names = opened["draws"].astype(np.float64), [str(name) for name in opened["names"]]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise OutputError(f"{path} cannot be read: {error}. Expected a NumPy file with draws and names.") from error
    if draws.ndim != 2 or draws.shape[1] != len(names) or len(draws) % chains:
        raise OutputError(f"{path}: expected draws [{chains} chains x N, {len(names)}], got shape {draws.shape}.")
    scalars = {name: column.reshape(chains, -1) for name, column in zip(names, draws.T, strict=True)}
    return arrays_of(scalars, file=path)


def _columns(names: list[str], columns: Mapping[str, Any], file: Path) -> dict[str, Arrays]:
    """Summaries, a list with a number per scalar, as arrays per variable."""
    return {
        key: arrays_of(dict(zip(names, np.asarray(values, dtype=np.float64), strict=True)), file=file)
        for key, values in columns.items()
    }
