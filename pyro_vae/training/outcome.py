"""How a run ended, and the :class:`Fit` that is made of it, or of a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from pyro.infer.autoguide import AutoLaplaceApproximation

from pyro_vae.errors import ModelError
from pyro_vae.training.evaluation import evaluate
from pyro_vae.training.objective import Objective
from pyro_vae.training.parameters import Parameters
from pyro_vae.training.prepare import Prepared
from pyro_vae.training.progress import smoothed
from pyro_vae.training.result import Fit, History
from pyro_vae.training.saved import history_of
from pyro_vae.training.terms import Terms


@dataclass(frozen=True)
class Outcome:
    """How one start ended: its values (unconstrained), its bound, its history (``rows``, ``[steps, 5]``)."""

    values: Parameters
    buffers: Parameters
    bound: float
    bound_se: float
    averaged: bool
    converged: bool
    reason: str
    seconds: float
    rows: np.ndarray
    validation: list[tuple[float, ...]] = field(default_factory=list)
    term_names: tuple[str, ...] = ()

    def tree(self) -> dict[str, Any]:
        """As a tree that can be written."""
        return {**vars(self), "rows": torch.from_numpy(self.rows)}

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Outcome:
        """The inverse of :meth:`tree`."""
        names = tuple(tree.get("term_names", ()))
        return cls(**{**tree, "rows": tree["rows"].numpy(), "term_names": names})


def make_fit(prepared: Prepared, data: Any, outcome: Outcome, seed: int | None, *, whole: bool = True) -> Fit:
    """The fit whose values are in place. ``whole`` says that it came to its end."""
    kept = {
        name: getattr(outcome, name) for name in ("bound", "bound_se", "converged", "reason", "averaged", "seconds")
    }
    checks = np.array(outcome.validation, dtype=float).reshape(-1, 2 + len(outcome.term_names))
    result = Fit(
        model=prepared.objective.model,
        guide=prepared.objective.guide,
        data=data,
        objective=prepared.objective,
        history=History.from_rows(outcome.rows),
        params=prepared.values(),
        seed=seed,
        guide_name=prepared.guide_name,
        leaves=dict(prepared.params),
        values=outcome.values,
        constraints=prepared.stored,
        device=prepared.device,
        validation=checks[:, :2].copy(),
        terms=Terms.of(checks, outcome.term_names),
        **kept,
    )
    return with_laplace(result, prepared) if whole else result


def unfinished_tree(tree: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of a run in progress, read as a fit: the last smoothed bound stands for the final one."""
    bound = history_of(tree).bound
    last, error = recent_bound(bound)
    result = {
        "estimator": tree["settings"]["estimator"],
        "num_particles": tree["settings"]["particles"],
        "weighting": tree["settings"].get("weighting"),
        "bound": last,
        "bound_se": error,
        "converged": False,
        "reason": f"a checkpoint at step {len(bound)} of a run that did not end",
        "averaged": False,
        "seconds": tree["running"]["phase"]["seconds"],
        "seed": tree["settings"]["seed"],
    }
    watched = tree["running"]["validation"] or {"rows": []}
    result["terms"] = list(watched.get("names", ()))
    checks = torch.tensor(watched["rows"], dtype=torch.float64).reshape(-1, 2 + len(result["terms"]))
    return {**tree, "result": result, "validation": checks}


def recent_bound(bound: np.ndarray) -> tuple[float, float]:
    """The smoothed bound at the end of a history, and the standard error of its last 100 steps' mean."""
    recent = bound[-100:]
    error = float(recent.std(ddof=1) / np.sqrt(len(recent))) if len(recent) > 1 else float("nan")
    return float(smoothed(bound)[-1]) if len(bound) else float("nan"), error


def fit_from_tree(prepared: Prepared, data: Any, tree: dict[str, Any]) -> Fit:
    """The fit that a saved tree describes; its values are in place already."""
    result = tree["result"]
    kept: dict[str, Any] = {
        name: result[name] for name in ("bound", "bound_se", "converged", "reason", "averaged", "seconds")
    }
    rows, checks = history_of(tree).rows(), tree["validation"].tolist()
    kept["term_names"] = tuple(result.get("terms", ()))
    outcome = Outcome(dict(tree["params"]), dict(tree["buffers"]), rows=rows, validation=checks, **kept)
    return make_fit(prepared, data, outcome, result["seed"])


def with_laplace(result: Fit, prepared: Prepared) -> Fit:
    """A Laplace approximation is finished at the mode: the Gaussian with that curvature becomes the guide."""
    if not isinstance(result.guide, AutoLaplaceApproximation):
        return result
    args, kwargs = prepared.batches.peek()
    try:
        guide = result.guide.laplace_approximation(*args, **kwargs)
    except (torch.linalg.LinAlgError, RuntimeError) as error:
        raise ModelError(
            f"auto_laplace: the Hessian of the log joint at the mode is not negative definite ({error}). The mode "
            'lies at the edge or on a ridge; use "auto_multivariate_normal".'
        ) from error
    objective = Objective(result.model, guide, prepared.objective.elbo)
    bound = evaluate(objective, prepared.batches)
    return replace(result, guide=guide, objective=objective, bound=bound.mean, bound_se=bound.error)
