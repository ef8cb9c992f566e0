"""What the densities by hand share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

Data = dict[str, Any]
Point = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A model: made-up data, a random point of the support, and the log density there, up to a constant."""

    data: Data
    point: Callable[[np.random.Generator], dict[str, np.ndarray]]
    log_density: Callable[[Point, Data], float]


RNG = np.random.default_rng(0)
N = 23


def positive(size: int = N) -> list[float]:
    return RNG.uniform(0.5, 3.0, size).tolist()


def bits(size: int = N) -> list[int]:
    return RNG.integers(0, 2, size).tolist()


def normals(values: Any, mean: Any, sd: Any) -> float:
    return float(stats.norm.logpdf(np.asarray(values, dtype=float), mean, sd).sum())


def half_cauchy(at: Point) -> float:
    return float(stats.cauchy.logpdf(at["sigma"], 0, 2.5))
