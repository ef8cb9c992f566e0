"""The log joint of a model with its discrete latent sites summed out exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from pyro import poutine
from pyro.infer.mcmc.util import TraceEinsumEvaluator
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.handlers import GivenValues, Values, with_flat_priors


def enumerated_log_joint(
    model: Callable, args: tuple, kwargs: Mapping[str, Any], values: Values, max_plate_nesting: int
) -> Tensor:
    r"""log Σ_z p(x, z, θ) at the continuous values, scalar; z are the discrete latent sites, summed in parallel.

    The sum is Pyro's own variable elimination: a chain in ``pyro.markov`` costs what the forward algorithm costs.
    Raises: :class:`~pyro_vae.errors.ModelError` where Pyro cannot eliminate them.
    """
    configured = poutine.infer_config(with_flat_priors(model), config_fn=_in_parallel)
    with ExitStack() as stack:
        stack.enter_context(GivenValues(values, None))
        traced = stack.enter_context(poutine.trace())
        stack.enter_context(poutine.enum(first_available_dim=-1 - max_plate_nesting))
        try:
            configured(*args, **kwargs)
        except (ValueError, RuntimeError, IndexError) as error:
            raise ModelError(
                f"The model fails when its discrete sites take all values at once: {error} {_REMEDY}"
            ) from error
    try:
        return TraceEinsumEvaluator(traced.trace, True, max_plate_nesting).log_prob(traced.trace)
    except (ValueError, NotImplementedError) as error:
        raise ModelError(f"The discrete sites cannot be summed out: {error} {_REMEDY}") from error


_REMEDY = (
    "Index with Vindex, use negative dims, and wrap a chain of discrete sites in pyro.markov, as Pyro's tutorial on "
    "enumeration shows."
)


def _in_parallel(site: Mapping[str, Any]) -> Any:
    latent = site["type"] == "sample" and not site["is_observed"]
    return {"enumerate": "parallel"} if latent and getattr(site["fn"], "has_enumerate_support", False) else {}
