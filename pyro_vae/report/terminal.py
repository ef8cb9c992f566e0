"""The comparison in the terminal: a table of the guides, or two of the gradient estimators if these were compared, then
each verdict in words; plain text where it is piped."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from pyro_vae.report.content import ReportContent
from pyro_vae.report.estimators import EstimatorRow, estimator_rows
from pyro_vae.report.summary import Row, rows

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDTH = 80
_LEGEND = "(off by: the error of the worst parameter's mean, in sds of the baseline)"
_OBJECTIVES = (
    "(nats. The own bounds of estimators with different objectives cannot be compared; the ELBO of the fitted guide, "
    "from fresh draws, can.)"
)
_CLOCK = (
    "(converged: the own bound had stopped moving. ms/step: the median. start-up: seconds that the first step took "
    "beyond a usual one, not in the seconds before it.)"
)
_FOUND = 3
_STYLES = {"trusted": "bold green", "reweight": "bold yellow", "untrusted": "bold red", "diverged": "bold red"}
_WORDS = {"none": "no verdict"}
_ASCII = str.maketrans({"−": "-", "±": "+-", "–": "-", "∞": "inf", "≤": "<="})


def print_report(content: ReportContent, console: Console | None = None) -> None:
    """Print a row per guide, then the verdicts and how the baseline was reached in words.

    At most 80 columns wide; in colour on a terminal, plain text elsewhere, ASCII where the encoding has no more.

    Args:
        content: What the comparison found.
        console: Where to; None is standard output.
    """
    from rich.console import Console

    console = Console() if console is None else console
    width = min(console.width, WIDTH)
    ascii_only = not console.encoding.lower().startswith("utf")
    found = rows(content)
    if found and content.several:
        _print_estimators(content, console, width, ascii_only)
    elif found:
        console.print(_table(found, ascii_only), width=width)
        console.print(plain_text(_LEGEND, "dim", ascii_only), width=width)
    for row in found:
        console.print(_sentence(row, ascii_only), width=width)
        for heading, lines in (("Where else it is wrong:", row.wrong[:_FOUND]), ("What to try next:", row.suggestions)):
            if lines:
                console.print(_list(heading, lines, ascii_only), width=width)
    if content.how:
        console.print(plain_text(f"\nBaseline: {content.how}", "", ascii_only), width=width)


def _table(found: list[Row], ascii_only: bool) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("guide", overflow="fold", max_width=24)
    table.add_column("verdict", no_wrap=True)
    table.add_column("bound", justify="right", no_wrap=True)
    table.add_column("k-hat", justify="right", no_wrap=True)
    table.add_column("worst", overflow="fold", max_width=18)
    table.add_column("off by", justify="right", no_wrap=True)
    table.add_column("sd ratio", justify="right", no_wrap=True)
    for row in found:
        cells = [row.guide, "", row.bound.partition(" ")[0], row.khat, row.worst, row.delta_mean, row.sd_ratio]
        texts = [plain_text(cell, "", ascii_only) for cell in cells]
        texts[1] = _level(row.level, ascii_only)
        table.add_row(*texts)
    return table


def _print_estimators(content: ReportContent, console: Console, width: int, ascii_only: bool) -> None:
    """What each estimator reached, then what it cost: nine columns side by side would be wider than 80."""
    found = estimator_rows(content)
    names = min(28, max(len(content.kind), *(len(row.name) for row in found)))
    reached = ("own bound", "ELBO", "k-hat", "verdict")
    console.print(columns(content.kind, names, reached, [_reached(row) for row in found], ascii_only), width=width)
    console.print(plain_text(_OBJECTIVES + "\n", "dim", ascii_only), width=width)
    cost = ("converged", "steps", "ms/step", "seconds", "start-up")
    rows = [(row.name, row.converged, row.steps, row.per_step, row.seconds, row.start_up) for row in found]
    console.print(columns(content.kind, names, cost, rows, ascii_only), width=width)
    console.print(plain_text(_CLOCK, "dim", ascii_only), width=width)


def _reached(row: EstimatorRow) -> tuple[str, ...]:
    return row.name, row.bound, row.elbo, row.khat, row.level


def columns(kind: str, width: int, headings: tuple[str, ...], rows: list[tuple[str, ...]], ascii_only: bool) -> Table:
    """A table whose first column has the names, ``width`` wide; a column of verdicts is coloured."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(kind, overflow="fold", width=width)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "verdict" else "right", no_wrap=True)
    for row in rows:
        last = _level(row[-1], ascii_only) if headings[-1] == "verdict" else plain_text(row[-1], "", ascii_only)
        table.add_row(*(plain_text(cell, "", ascii_only) for cell in row[:-1]), last)
    return table


def _level(level: str, ascii_only: bool) -> Text:
    return plain_text(_WORDS.get(level, level), _STYLES.get(level, "bold"), ascii_only)


def _list(heading: str, lines: tuple[str, ...], ascii_only: bool) -> Text:
    """A heading and its lines, one below the other."""
    text = plain_text(f"  {heading}", "bold", ascii_only)
    for line in lines:
        folded = textwrap.fill(line, WIDTH - 1, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
        text.append(plain_text(f"\n{folded}", "", ascii_only))
    return text


def _sentence(row: Row, ascii_only: bool) -> Text:
    sentence = plain_text(f"\n{row.guide}: ", "bold", ascii_only)
    sentence.append(_level(row.level, ascii_only))
    return sentence.append(plain_text(f". {' '.join([row.reason, *row.remarks])}", "", ascii_only))


def plain_text(content: str, look: str, ascii_only: bool) -> Text:
    """Text that rich takes as it is: "theta[Choate]" is no markup."""
    from rich.text import Text

    return Text(content.translate(_ASCII) if ascii_only else content, style=look)
