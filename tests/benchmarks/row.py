"""What a benchmark gives: rows that set a figure of ours beside a peer's, and the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True)
class Figures:
    """One figure of one contender, once per repeat; ``why_not`` says why there is none."""

    name: str
    values: tuple[float, ...] = ()
    why_not: str = ""

    @property
    def median(self) -> float:
        """The median over the repeats; NaN without any."""
        return median(self.values) if self.values else float("nan")


@dataclass(frozen=True)
class Target:
    """What is to be reached.

    ``"at most"`` is a bound on ours / peer's (on ours itself, where a row has no peer), ``"at least"`` on how many
    times better ours is.
    """

    kind: Literal["at most", "at least"]
    value: float

    def __str__(self) -> str:
        return f"{'≤' if self.kind == 'at most' else '≥'} {self.value:g}"


@dataclass(frozen=True)
class Row:
    """A line of the table. ``series`` and ``x`` place it on a curve of the growth figure."""

    what: str
    unit: str
    ours: Figures
    peer: Figures | None = None
    target: Target | None = None
    more_is_better: bool = False
    series: str = ""
    x: float | None = None

    @property
    def ratio(self) -> float:
        """In the target's terms: ours / peer's for ``"at most"``, else how many times better ours is."""
        if self.peer is None:
            return self.ours.median
        share = self.ours.median / self.peer.median
        if self.target is not None and self.target.kind == "at most":
            return share
        return share if self.more_is_better else 1 / share

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or without figures."""
        if self.target is None or self.ratio != self.ratio:
            return None
        return self.ratio <= self.target.value if self.target.kind == "at most" else self.ratio >= self.target.value


@dataclass(frozen=True)
class Result:
    """The rows of one benchmark, the machine that they come from, and what has to be said about them.

    ``quick``: they only show that everything runs.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    machine: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    quick: bool = False

    def tree(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Result:
        """The inverse of :meth:`tree`."""
        rows = tuple(_row(row) for row in tree["rows"])
        return cls(tree["name"], tree["title"], rows, tree["machine"], tuple(tree["notes"]), tree["quick"])


def _row(tree: Mapping[str, Any]) -> Row:
    peer, target = tree["peer"], tree["target"]
    return Row(
        **{
            **tree,
            "ours": _figures(tree["ours"]),
            "peer": None if peer is None else _figures(peer),
            "target": None if target is None else Target(**target),
        }
    )


def _figures(tree: Mapping[str, Any]) -> Figures:
    return Figures(tree["name"], tuple(tree["values"]), tree["why_not"])
