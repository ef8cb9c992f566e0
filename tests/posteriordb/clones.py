"""Tiny databases in the layouts of posteriordb, made on the fly; and the real one, where it lies beside the project."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]

TWELVE = (
    "arK-arK",
    "eight_schools-eight_schools_centered",
    "eight_schools-eight_schools_noncentered",
    "garch-garch11",
    "gp_pois_regr-gp_regr",
    "hmm_example-hmm_example",
    "kidiq-kidscore_interaction",
    "kidiq_with_mom_work-kidscore_mom_work",
    "kilpisjarvi_mod-kilpisjarvi",
    "low_dim_gauss_mix-low_dim_gauss_mix",
    "mesquite-logmesquite_logvas",
    "sblrc-blr",
)


def real_database() -> Path | None:
    """The folder that ``POSTERIORDB`` names, or one beside the project; None where there is none."""
    beside = [folder / "shared" / "posteriordb" for folder in ROOT.parents[:2]]
    named = [Path(os.environ["POSTERIORDB"])] if os.environ.get("POSTERIORDB") else []
    return next((folder for folder in (*named, *beside) if folder.is_dir()), None)


def zipped(path: Path, content: Any) -> None:
    """``content`` as JSON in ``path``, a zip with one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(path.name.removesuffix(".zip"), json.dumps(content))


def plain(path: Path, content: Any) -> None:
    """``content`` as JSON in ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def add(
    root: Path,
    name: str,
    data: Mapping[str, Any],
    draws: Mapping[str, np.ndarray] | None,
    *,
    reference: str | None = None,
) -> Path:
    """Put a posterior into the clone at ``root``: ``draws`` are ``{"beta[1]": [chain, draw]}``. Returns ``root``."""
    base = root / "posterior_database"
    data_name, _, model_name = name.partition("-")
    known = reference or (name if draws is not None else None)
    plain(
        base / "posteriors" / f"{name}.json",
        {"name": name, "model_name": model_name, "data_name": data_name, "reference_posterior_name": known},
    )
    zipped(base / "data" / "data" / f"{data_name}.json.zip", data)
    if draws is not None:
        chains = [{key: rows[chain].tolist() for key, rows in draws.items()} for chain in range(_chains(draws))]
        zipped(base / "reference_posteriors" / "draws" / "draws" / f"{name}.json.zip", chains)
        means = {"names": list(draws), "mean_value": [float(rows.mean()) for rows in draws.values()]}
        folder = base / "reference_posteriors" / "summary_statistics" / "mean_value" / "mean_value"
        plain(folder / f"{name}.json", {**means, "mcse_mean": [0.01] * len(draws)})
    return root


def add_folder(root: Path, name: str, data: Mapping[str, Any], draws: Mapping[str, np.ndarray]) -> Path:
    """The same in the compact layout."""
    folder = root / name
    plain(folder / "data.json", data)
    names = list(draws)
    reference = {
        "parameters": names,
        "n_chains": _chains(draws),
        "mean": [float(draws[key].mean()) for key in names],
        "sd": [float(draws[key].std()) for key in names],
        "mcse_mean": [0.01] * len(names),
        "source": {"model": f"posterior_database/models/stan/{name.partition('-')[2]}.stan"},
    }
    plain(folder / "reference.json", reference)
    table = np.stack([draws[key].ravel() for key in names], -1).astype(np.float32)
    np.savez(folder / "draws.npz", draws=table, names=np.array(names))
    return root


def _chains(draws: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(draws.values())))
