"""A progress bar with the smoothed bound and the time left; nothing at all when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

SMOOTHING = 0.98  # about the last 50 steps


def smoothed(bound: Sequence[float] | np.ndarray) -> np.ndarray:
    r"""The exponentially weighted mean of a series, :math:`\sum_s \gamma^{t-s} b_s / \sum_s \gamma^{t-s}`.

    >>> smoothed([1.0, 1.0, 1.0]).tolist()
    [1.0, 1.0, 1.0]
    """
    result = np.empty(len(bound))
    total = weight = 0.0
    for index, value in enumerate(bound):
        total = SMOOTHING * total + value
        weight = SMOOTHING * weight + 1.0
        result[index] = total / weight
    return result


class Smoother:
    """:func:`smoothed`, one stretch at a time."""

    def __init__(self) -> None:
        self.total = self.weight = 0.0
        self.count = 0

    def read(self, rows: Sequence[Sequence[float]]) -> float:
        """The smoothed bound after ``rows``, of which the first are known already."""
        for row in rows[self.count :]:
            self.total = SMOOTHING * self.total + row[0]
            self.weight = SMOOTHING * self.weight + 1.0
        self.count = len(rows)
        return self.total / self.weight if self.weight else float("nan")


class Bar:
    """What a run reports to. This one is silent; the one on a terminal draws."""

    def show(self, rows: Sequence[Sequence[float]], end: int, note: str) -> None:
        """``rows`` so far of ``end`` steps; ``note`` says the phase."""


class _RichBar(Bar):
    def __init__(self, progress: Any, title: str):
        self.progress = progress
        self.task = progress.add_task(title, total=None, bound="", note="")
        self.smoother = Smoother()

    def show(self, rows: Sequence[Sequence[float]], end: int, note: str) -> None:
        bound = self.smoother.read(rows)
        self.progress.update(self.task, completed=len(rows), total=end, bound=f"{bound:.2f}", note=note)


@contextmanager
def progress_bar(wanted: bool | None, title: str) -> Iterator[Bar]:
    """A bar for one run.

    ``wanted`` None draws on a terminal or in a notebook and is silent elsewhere; True and False insist.
    """
    if not _watched(wanted):
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("bound {task.fields[bound]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _RichBar(progress, title)


@contextmanager
def counted(wanted: bool | None, title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for what is not a fit: tell it how many of how many are done. ``wanted`` as for :func:`progress_bar`."""
    if not _watched(wanted):
        yield lambda done, end: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(compact=True), console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, end: progress.update(task, completed=done, total=end)


def _watched(wanted: bool | None) -> bool:
    seen = sys.stderr.isatty() or "ipykernel" in sys.modules
    return seen if wanted is None else wanted
