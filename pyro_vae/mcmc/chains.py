"""What an engine is told and what it gives back; the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Settings:
    """How to sample: ``init`` are starting values by site, ``progress`` whether to show any."""

    chains: int = 4
    draws: int = 1000
    warmup: int = 1000
    target_accept: float = 0.8
    seed: int = 0
    progress: bool = False
    init: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Chains:
    """Unconstrained draws ``[chain, draw, D]`` and the sampler's statistics, ``[chain, draw]`` each, by ArviZ's names.

    ``interrupted``: there are fewer chains or draws than were asked for.
    """

    flat: np.ndarray
    stats: Mapping[str, np.ndarray]
    seconds: float
    interrupted: bool = False


def even(lengths: Sequence[int]) -> tuple[list[int], int]:
    """Which chains of unequal lengths to keep, and how many draws of each, so that most draws are kept in all.

    >>> even([1000, 700, 10, 0])
    ([0, 1], 700)
    """
    order = sorted(range(len(lengths)), key=lambda chain: -lengths[chain])
    kept = max(range(1, len(order) + 1), key=lambda count: count * lengths[order[count - 1]])
    return sorted(order[:kept]), lengths[order[kept - 1]]
