"""Fits and checkpoints as trees that :mod:`~pyro_vae.training.storage` can write, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyro
import torch

from pyro_vae.errors import OptionError, OutputError
from pyro_vae.training.loop import Run
from pyro_vae.training.parameters import assign, copy_of
from pyro_vae.training.prepare import Prepared
from pyro_vae.training.randomness import random_state, restore_random_state
from pyro_vae.training.result import Fit, History
from pyro_vae.training.rows import Rows
from pyro_vae.training.team import Team
from pyro_vae.training.terms import RECONSTRUCTION
from pyro_vae.training.validation import Watch

FORMAT = 1


def fit_tree(fit: Fit, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A finished fit. ``settings`` are the options that a resumed run has to share."""
    return {
        **_head("fit", settings),
        "params": fit.values,
        "buffers": copy_of(fit.objective.buffers()),
        "history": torch.from_numpy(fit.history.rows()),
        "validation": torch.from_numpy(fit.checks()),
        "result": {
            "estimator": fit.objective.name,
            "num_particles": fit.num_particles,
            "weighting": None if fit.objective.weighting is None else fit.objective.weighting.tree(),
            "bound": fit.bound,
            "bound_se": fit.bound_se,
            "converged": fit.converged,
            "reason": fit.reason,
            "averaged": fit.averaged,
            "seconds": fit.seconds,
            "seed": fit.seed,
            "guide_name": fit.guide_name,
            "terms": [] if fit.terms is None else [RECONSTRUCTION, *fit.terms.names],
        },
    }


def run_tree(
    run: Run,
    prepared: Prepared,
    settings: Mapping[str, Any],
    starts: Mapping[str, Any],
    watch: Watch | None = None,
    team: Team | None = None,
) -> dict[str, Any]:
    """A run in progress: everything that its next step depends on. ``starts``: which start this is, which was best.

    Of several processes, all have to call this together: each has a position in the data and random numbers.
    """
    own = {"batches": run.batches.state(), "random": random_state()}
    return {
        **_head("run", settings),
        "params": copy_of(run.state.params),
        "buffers": copy_of(prepared.objective.buffers()),
        "history": torch.from_numpy(run.rows.array.copy()),
        "running": {
            "optimizer": run.state.optimizer.state(),
            "average": run.state.average.state(),
            "processes": (Team() if team is None else team).gather(own),
            "phase": run.phase(),
            "validation": None if watch is None else watch.tree(),
            "starts": dict(starts),
        },
    }


def _head(kind: str, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    import pyro_vae

    versions = {"pyro_vae": pyro_vae.__version__, "torch": str(torch.__version__), "pyro": str(pyro.__version__)}
    return {"format": FORMAT, "kind": kind, "versions": versions, "settings": dict(settings or {})}


def put_values(tree: Mapping[str, Any], prepared: Prepared) -> None:
    """The saved parameters and buffers into the live ones."""
    if tree["format"] != FORMAT:
        raise OutputError(
            f"The saved fit has format {tree['format']}, this version reads {FORMAT}. Use the version that wrote it."
        )
    assign(prepared.params, tree["params"])
    live = prepared.objective.buffers()
    if live:
        assign(live, tree["buffers"])


def resume_run(
    tree: Mapping[str, Any], prepared: Prepared, run: Run, watch: Watch | None = None, team: Team | None = None
) -> None:
    """Put a fresh run where the saved one was, the random state last."""
    put_values(tree, prepared)
    running = tree["running"]
    run.rows = Rows(tree["history"].numpy())
    run.settle_from = running["phase"]["settle_from"]
    run.settle_steps = running["phase"]["settle_steps"]
    run.flat = running["phase"]["flat"]
    run.seconds = running["phase"]["seconds"]
    run.stopped = running["phase"]["stopped"]
    run.state.params.update(prepared.params)
    run.state.optimizer.restore(prepared.params, running["optimizer"])
    run.state.average.restore(prepared.params, running["average"])
    if watch is not None and running["validation"] is not None:
        watch.restore(running["validation"])
    own = running["processes"][0 if team is None else team.rank]
    run.batches.restore(own["batches"])
    restore_random_state(own["random"])


def same_settings(saved: Mapping[str, Any], now: Mapping[str, Any], path: Any) -> None:
    """Refuse to resume with other options; more ``steps`` or ``epochs`` are allowed."""
    for name, value in now.items():
        if name in saved and saved[name] != value and name not in ("steps", "epochs"):
            raise OptionError(
                f"resume={str(path)!r}: the saved run has {name}={saved[name]!r}, this call {name}={value!r}. "
                "Call fit with the same options, or start anew without resume."
            )


def history_of(tree: Mapping[str, Any]) -> History:
    """The saved history."""
    return History.from_rows(np.asarray(tree["history"], dtype=float))  # pyright: ignore[reportArgumentType]
