"""Learning-rate schedules: a factor on the optimiser's learning rate, as a function of where the run is.

A run has two phases. It *searches* until the stopping rule says that the bound is flat (or its share of the steps is
used up), then *settles*. ``"settle"`` holds the learning rate while searching and lets it fall while settling: the
rule then never mistakes a falling learning rate for a finished fit. Schedules that are functions of the whole run
(``"cosine"``, ...) have nothing to stop early.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pyro_vae.errors import OptionError

LAST = 0.001  # the factor at the end of a run


class Moment(NamedTuple):
    """Where a run is: ``step`` of at most ``steps``; ``settled`` is 0 while it searches and 1 at the end."""

    step: int
    steps: int
    settled: float

    @property
    def progress(self) -> float:
        """The share of the run that is done, 0 to 1."""
        return min(self.step / self.steps, 1.0)


@dataclass(frozen=True)
class Schedule:
    """A named factor on the learning rate. ``stoppable`` says that the rate is constant while the run searches."""

    name: str
    factor: Callable[[Moment], float]
    stoppable: bool


def _settle(moment: Moment) -> float:
    return LAST**moment.settled


def _cosine(moment: Moment) -> float:
    return LAST + (1 - LAST) * 0.5 * (1 + math.cos(math.pi * moment.progress))


SCHEDULES = {
    "settle": Schedule("settle", _settle, stoppable=True),
    "constant": Schedule("constant", lambda moment: 1.0, stoppable=True),
    "cosine": Schedule("cosine", _cosine, stoppable=False),
    "exponential": Schedule("exponential", lambda moment: LAST**moment.progress, stoppable=False),
    "linear": Schedule("linear", lambda moment: 1 - (1 - LAST) * moment.progress, stoppable=False),
}


def schedule_from(choice: str | Callable[[int, int], float]) -> Schedule:
    """A schedule by name, or of a function ``(step, steps) -> factor``.

    ``"settle"`` (the default) holds the rate until the bound is flat, then lets it fall exponentially to 0.1 %;
    ``"constant"`` never changes it; ``"cosine"``, ``"exponential"`` and ``"linear"`` fall to 0.1 % over the whole run.
    Raises :class:`~pyro_vae.errors.OptionError` with the nearest names.

    >>> schedule_from("cosine").factor(Moment(step=50, steps=100, settled=0.0))
    0.5005
    """
    if isinstance(choice, str):
        if choice in SCHEDULES:
            return SCHEDULES[choice]
        near = difflib.get_close_matches(choice, SCHEDULES, 3) or list(SCHEDULES)
        raise OptionError(f"schedule {choice!r} is not known. Nearest: {', '.join(near)}. All: {', '.join(SCHEDULES)}.")
    if callable(choice):
        label = getattr(choice, "__name__", type(choice).__name__)
        return Schedule(label, lambda moment: float(choice(moment.step, moment.steps)), stoppable=False)
    raise OptionError(
        f"schedule: expected a name ({', '.join(SCHEDULES)}) or a function (step, steps) -> factor, got {choice!r}."
    )
