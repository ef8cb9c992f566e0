"""How thorough a run of the benchmarks is, and where it says what it is doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = {"eight_schools_noncentered": "eight schools", "logistic_regression": "logistic regression"}
PARTICLES = 16
NUMPYRO = "NumPyro"  # how contenders' names begin, for those who pick the best of several


@dataclass(frozen=True)
class Setting:
    """``quick`` shows that everything runs, with figures that mean nothing; ``folder`` is for data, and vanishes."""

    quick: bool
    folder: Path
    say: Callable[[str], None] = lambda _: None

    @property
    def repeats(self) -> int:
        """How often everything is measured."""
        return 1 if self.quick else 5

    def of(self, whole: int, quick: int) -> int:
        """One number or the other."""
        return quick if self.quick else whole
