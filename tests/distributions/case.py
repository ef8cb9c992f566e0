"""One row of the table that every distribution goes through, and how its parts are found.

Rows stand in ``cases_*.py`` beside this file, each in a tuple ``CASES``. ``test_properties.py`` runs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import mpmath
import pytest
import torch
from pyro.distributions import TorchDistribution

Setting = Mapping[str, Any]
CLOSED_FORMS = frozenset({"mean", "variance", "mode", "entropy", "cdf", "icdf"})


@dataclass(frozen=True)
class Case:
    """A distribution, parameters at which it is tried, and the truth about it.

    ``settings`` are moderate: density, moments and entropy are held to quadrature there (to Monte Carlo if
    ``event_dim`` is not 0). ``edge_settings`` reach far out: log-density, draws, cdf and gradients are held there.
    Values of a setting are numbers, or (nested) tuples for vectors and matrices.

    ``log_density(x, **setting)`` and ``cdf(x, **setting)`` are mpmath's, at 50 digits; x is an mpf, or a list of them.
    ``points`` are values at which log_prob is held besides the distribution's own draws.
    ``support`` are the ends of a scalar's support. ``has`` says which closed forms the class offers.
    ``discrete``: log_density is that of a probability, which no integral is taken of.
    ``bad`` are (setting, argument at fault) that must be refused. ``peers`` make other people's version from a setting.
    ``rounds_at_edges``: at the edge settings many draws are between two floats, or below the least, and are put on the
    nearest one inside the support, so that their distribution is no longer the one that it is on the log scale.
    ``pathwise_tolerance`` is how near d x / d parameter must come to the implicit function's, relative beyond 1; None
    where the path is another, right on average;
    ``cdf_tolerance`` how near the cdf must come to the exact one, relative, in double precision.
    ``gof(distribution, samples)`` is a p-value, for a row where neither cdf nor density will do.
    """

    name: str
    make: Callable[..., TorchDistribution]
    settings: tuple[Setting, ...]
    log_density: Callable[..., Any]
    cdf: Callable[..., Any] | None = None
    edge_settings: tuple[Setting, ...] = ()
    points: tuple[Any, ...] = ()
    support: tuple[float, float] = (-mpmath.inf, mpmath.inf)
    has: frozenset[str] = CLOSED_FORMS
    event_dim: int = 0
    reparameterised: bool = True
    discrete: bool = False
    rounds_at_edges: bool = False
    pathwise_tolerance: float | None = 1e-6
    cdf_tolerance: float = 1e-9
    bad: tuple[tuple[Setting, str], ...] = ()
    peers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    gof: Callable[[TorchDistribution, torch.Tensor], float] | None = None

    def at(self, setting: Setting, dtype: torch.dtype = torch.float64, *, grad: bool = False) -> TorchDistribution:
        """The distribution at a setting; with ``grad``, of leaf parameters that ask for gradients."""
        return self.make(**self.parameters(setting, dtype, grad=grad))

    def parameters(self, setting: Setting, dtype: torch.dtype, *, grad: bool = False) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(value, dtype=dtype, requires_grad=grad) for name, value in setting.items()}

    def exact(self, setting: Setting, dtype: torch.dtype) -> dict[str, Any]:
        """The setting as mpmath numbers, with the values that it has once rounded to ``dtype``."""
        return {name: to_mp(value) for name, value in self.parameters(setting, dtype).items()}


def to_mp(value: torch.Tensor) -> Any:
    """A tensor as an mpf, or as nested lists of them."""
    if value.dim() == 0:
        return mpmath.mpf(value.item())
    return [to_mp(each) for each in value]


def all_cases() -> list[Case]:
    """Every row of every ``cases_*.py`` in this folder."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))
    return [case for name in names for case in import_module(f"tests.distributions.{name}").CASES]


def rows(*, edges: bool = False, keep: Callable[[Case], bool] = lambda case: True) -> list[Any]:
    """(case, setting) pairs with an id each, for ``pytest.mark.parametrize``."""
    found = []
    for case in filter(keep, all_cases()):
        for setting in case.settings + (case.edge_settings if edges else ()):
            label = ",".join(f"{value:g}" if isinstance(value, float | int) else "…" for value in setting.values())
            found.append(pytest.param(case, setting, id=f"{case.name}({label})"))
    return found
