"""Pyro's automatic guides by name. Used by ``training`` and ``studies``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from pyro import poutine
from pyro.infer import autoguide as pyro_autoguide
from pyro.infer.autoguide import AutoGuide

from pyro_vae.errors import ModelError, OptionError
from pyro_vae.guides import flow, normal
from pyro_vae.guides.starts import init_from
from pyro_vae.particles.enumerated import is_marked
from pyro_vae.particles.handlers import with_flat_priors

FAMILIES: dict[str, type[AutoGuide]] = {
    "auto_delta": pyro_autoguide.AutoDelta,
    "auto_diagonal_normal": normal.AutoDiagonalNormal,
    "auto_iaf": flow.AutoIAF,
    "auto_iaf_normal": pyro_autoguide.AutoIAFNormal,
    "auto_laplace": pyro_autoguide.AutoLaplaceApproximation,
    "auto_low_rank_multivariate_normal": pyro_autoguide.AutoLowRankMultivariateNormal,
    "auto_multivariate_normal": normal.AutoMultivariateNormal,
    "auto_neural_spline": flow.AutoNeuralSpline,
    "auto_normal": normal.AutoNormal,
    "auto_structured": pyro_autoguide.AutoStructured,
}
_FIXED_START = {"auto_iaf_normal"}  # starts as a flow near the identity, around 0 on the unconstrained scale
_NO_SCALE = {"auto_delta", "auto_laplace", "auto_iaf_normal"}
_APPROXIMATED = {name for name, family in FAMILIES.items() if hasattr(family, "how")}
HOW = ("auto", "pathfinder", "laplace", "prior")  # the words that say from what approximation a guide starts


def names() -> tuple[str, ...]:
    """The names that :func:`autoguide` knows, sorted.

    >>> names()[:2]
    ('auto_delta', 'auto_diagonal_normal')
    """
    return tuple(sorted(FAMILIES))


def autoguide(
    name: str,
    model: Callable,
    *,
    init: Mapping[str, Any] | Callable | str | None = None,
    init_scale: float | None = None,
    **options: Any,
) -> AutoGuide:
    r"""Make an automatic guide for a model.

    Every family is a distribution over the latents' unconstrained values; ``auto_normal`` and
    ``auto_diagonal_normal`` are mean-field, ``auto_multivariate_normal`` full-rank, ``auto_neural_spline`` and
    ``auto_iaf`` flows. These five start from a Gaussian approximation of the posterior, and are optimised in
    coordinates in which that is a standard normal: Pathfinder's best along two paths, moved to where its ELBO is
    highest. There is none for a subsampled plate or more than 200 unconstrained numbers. Then, and all other guides,
    start at the prior's median with standard deviations 0.1 on the unconstrained scale (narrow, so that the first
    gradients are those of the log joint near the start). Discrete sites that the model sums out
    (``infer={"enumerate": "parallel"}``) are hidden from it.

    Args:
        name: one of :func:`names`; Pyro's class names (``"AutoNormal"``) are understood too.
        model: a Pyro program. Flat priors (``ImproperUniform``) work.
        init: None or ``"auto"`` as above; ``"pathfinder"`` without the move; ``"laplace"``, the curvature at a mode;
            ``"prior"``, the prior's median; ``{site: value}`` in the model's own (constrained) parametrisation; or an
            initialisation strategy as in ``pyro.infer.autoguide.initialization``.
        init_scale: initial standard deviations, on the unconstrained scale, instead of an approximation.
        options: further arguments of the family's class, such as ``rank=4`` or ``layers=3``.

    Returns:
        the guide, not yet initialised: it looks at the model when it is first called.

    Raises:
        OptionError: for a name that is not known, with the nearest names, or an option that the family lacks.

    Source: Kucukelbir et al., "Automatic Differentiation Variational Inference", JMLR 18 (2017); Zhang et al.,
    "Pathfinder", JMLR 23 (2022).

    >>> import pyro, torch, pyro.distributions as dist
    >>> def model():
    ...     return pyro.sample("rate", dist.Gamma(2.0, 1.0))
    >>> guide = autoguide("auto_normal", model, init={"rate": 3.0})
    >>> _ = guide()
    >>> round(guide.median()["rate"].item(), 3)
    3.0
    """
    family = _family(name)
    if not callable(model):
        raise ModelError(f"autoguide {name!r}: expected a model that can be called, got {type(model).__name__}.")
    arguments: dict[str, Any] = dict(options)
    how, start = _how(family, "prior" if init is None and init_scale is not None else init)
    if family in _FIXED_START:
        if start is not None:
            raise OptionError(f"init: {family} has no start to give. Leave init out, or use another guide.")
    else:
        arguments["init_loc_fn"] = init_from(start)
    if family not in _NO_SCALE:
        arguments["init_scale"] = 0.1 if init_scale is None else float(init_scale)
    try:
        guide = FAMILIES[family](poutine.block(with_flat_priors(model), hide_fn=is_marked), **arguments)
    except (TypeError, ValueError) as error:
        raise OptionError(f"autoguide {family!r} with options {sorted(options)}: {error}") from error
    if family in _APPROXIMATED:
        guide.how, guide.source = how, (model,)  # in a tuple: a model that is a module is no part of its guide
    return guide


def fit_options(guide: Callable | str) -> dict[str, Any]:
    """The options of :func:`~pyro_vae.fit` that a guide family, or a guide of it, has for those that nobody gave.

    >>> fit_options("auto_neural_spline")["learning_rate"], fit_options("auto_normal")
    (0.01, {})
    """
    family = FAMILIES[_family(guide)] if isinstance(guide, str) else type(guide)
    return dict(getattr(family, "fit_options", {}))


def _how(family: str, init: Any) -> tuple[str, Any]:
    """How the approximation that a guide starts from is found, and what is left of ``init`` for its location."""
    if init is None:
        return "auto", None
    if not isinstance(init, str):
        return "prior", init
    if init not in HOW:
        raise OptionError(f"init {init!r} is not known: expected one of {', '.join(HOW)}, or {{site: value}}.")
    if init != "prior" and family not in _APPROXIMATED:
        raise OptionError(
            f"init={init!r}: {family} does not start from an approximation; {', '.join(sorted(_APPROXIMATED))} do."
        )
    return init, None


def as_guide(
    guide: Callable | str, model: Callable, *, init: Mapping[str, Any] | Callable | str | None = None
) -> Callable:
    """A guide as people give it: a name becomes an automatic guide, a callable passes through."""
    if isinstance(guide, str):
        return autoguide(guide, model, init=init)
    if not callable(guide):
        raise OptionError(
            f"guide: expected a callable, an autoguide or one of {', '.join(names())}; got {type(guide).__name__}."
        )
    return guide


def _family(name: str) -> str:
    plain = str(name).lower().replace("_", "").replace("-", "")
    known = {family.replace("_", ""): family for family in FAMILIES} | {"autolaplaceapproximation": "auto_laplace"}
    if plain in known:
        return known[plain]
    near = [known[key] for key in difflib.get_close_matches(plain, known, 3)] or list(names())
    raise OptionError(f"guide {name!r} is not known. Nearest: {', '.join(near)}. All: {', '.join(names())}.")
