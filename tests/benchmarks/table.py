"""Results as Markdown: a table per benchmark, with medians, ranges and targets."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.row import Figures, Result, Row

_HEAD = "| | pyro-vae | beside it | its figure | ratio | to reach |\n|---|---|---|---|---|---|"

# Its path is that from the page which includes the table.
_CURVES = """```{image} benchmarks/growth.png
:alt: Time per particle against K; time of a step and memory against the rows; ours and the peer's, axes logarithmic.
:width: 720px
```"""


def markdown(results: Sequence[Result]) -> str:
    """All results, each under its title, with where it was measured once for those that share it."""
    return "\n\n".join(_section(result) for result in results) + "\n"


def _section(result: Result) -> str:
    lines = [f"### {result.title}", f"{_HEAD}\n" + "\n".join(_line(row) for row in result.rows)]
    remarks = [*result.notes, *_missing(result.rows)]
    if result.quick:
        remarks.insert(0, "**A quick run, to see that it runs: these figures mean nothing.**")
    if remarks:
        lines.append("\n".join(f"- {remark}" for remark in remarks))
    if any(row.series for row in result.rows):
        lines.append(_CURVES)
    return "\n\n".join([*lines, _measured(result)])


def _line(row: Row) -> str:
    name, figure = ("", "") if row.peer is None else (row.peer.name, shown(row.peer))
    ours = shown(row.ours) + ("" if row.ours.name == "pyro-vae" else f", {row.ours.name.removeprefix('pyro-vae, ')}")
    target = "" if row.target is None else f"{row.target}{ {True: ' ✓', False: ' ✗', None: ''}[row.met] }"
    what = f"{row.what}, {row.unit}" if row.unit else row.what
    ratio = "" if row.peer is None or row.ratio != row.ratio else f"{number(row.ratio)} ×"
    return f"| {what} | {ours} | {name} | {figure} | {ratio} | {target} |"


def shown(figures: Figures) -> str:
    """The median, and the range if there is more than one value."""
    if not figures.values:
        return "—"
    if len(figures.values) == 1:
        return number(figures.median)
    return f"{number(figures.median)} ({number(min(figures.values))}–{number(max(figures.values))})"


def number(value: float) -> str:
    """Three digits, thousands apart.

    >>> number(0.03456), number(12345.6), number(7.0)
    ('0.0346', '12 346', '7.00')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    digits = 2 if value == 0 else max(0, 2 - int(f"{abs(value):.2e}".partition("e")[2]))
    return f"{value:.{digits}f}"


def _missing(rows: Sequence[Row]) -> list[str]:
    """Why a figure is missing, once each."""
    figures = [figures for row in rows for figures in (row.ours, row.peer) if figures is not None]
    return list(dict.fromkeys(f"{each.name}: {each.why_not}" for each in figures if each.why_not))


def _measured(result: Result) -> str:
    where = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    return (
        f"<small>{where['date']}; {where['processor']}, {where['cores']} cores, load {where['load']} before; "
        f"{versions}.</small>"
    )
