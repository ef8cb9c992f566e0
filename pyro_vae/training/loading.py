"""``load_fit``: a saved fit back into its model and guide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro.infer

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import OptionError
from pyro_vae.estimators.base import Estimator
from pyro_vae.estimators.names import BY_NAME
from pyro_vae.estimators.weighting import weighting_options
from pyro_vae.training.checkpoints import Checkpoints
from pyro_vae.training.objective import Elbo, elbo_from
from pyro_vae.training.outcome import fit_from_tree, unfinished_tree
from pyro_vae.training.prepare import on_device, prepare
from pyro_vae.training.result import Fit
from pyro_vae.training.saved import put_values


def load_fit(
    path: str | Path,
    model: Callable,
    guide: Callable | str,
    data: Any = None,
    *,
    estimator: Estimator | str | Elbo | None = None,
    device: Any = None,
) -> Fit:
    """Put what :meth:`Fit.save` or ``fit(checkpoint=...)`` wrote into the modules and the param store.

    Args:
        path: the safetensors file.
        model: the model that was fitted.
        guide: the guide that was fitted, or its name; an automatic guide need not have been called yet.
        data: arguments of model and guide, as for :func:`~pyro_vae.fit`.
        estimator: only for a fit that was made with an estimator of your own.
        device: where to put the values.

    Returns:
        the fit. A checkpoint of a run in progress gives the parameters of that moment, with ``converged`` False.

    Raises:
        OutputError: naming the path, when the file is missing or is of another model or guide.

    >>> import tempfile, pyro_vae as pv, torch, pyro.distributions as dist
    >>> def model():
    ...     return pyro.sample("z", dist.Normal(3.0, 1.0))
    >>> import pyro
    >>> result = pv.fit(model, "auto_normal", seed=0, steps=50)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = pv.load_fit(result.save(f"{folder}/fit.safetensors"), model, "auto_normal")
    >>> again.bound == result.bound
    True
    """
    tree = Checkpoints(Path(path)).read()
    tree = tree if tree["kind"] == "fit" else unfinished_tree(tree)
    result = tree["result"]
    elbo = _elbo(result, path) if estimator is None else _own_elbo(estimator, result)
    with on_device(device):
        prepared = prepare(model, guide, data, elbo, device=device)
        put_values(tree, prepared)
        return fit_from_tree(prepared, data, tree)


def _own_elbo(estimator: Estimator | str | Elbo, result: dict[str, Any]) -> Elbo:
    if isinstance(estimator, pyro.infer.ELBO):
        return elbo_from(estimator, None, None)
    return elbo_from(estimator, result["num_particles"], None, **weighting_options(result.get("weighting")))


def _elbo(result: dict[str, Any], path: Any) -> TraceELBO:
    known = {repr(estimator): estimator for estimator in BY_NAME.values()}
    if result["estimator"] not in known:
        raise OptionError(f"{path} was fitted with {result['estimator']}, which is not one of ours: pass estimator=...")
    weighting = weighting_options(result.get("weighting"))
    return TraceELBO(known[result["estimator"]], result["num_particles"], **weighting)
