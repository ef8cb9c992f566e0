"""A calibration study in the terminal: a row per quantity, then the verdict in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from pyro_vae.report.terminal import WIDTH, plain_text

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

MOST_ROWS = 40
_LEGEND = (
    "(below: truths below the posterior's median. p-values of uniform ranks and of symmetry, before they are corrected "
    "for the number of quantities. 50 %, 90 %: intervals that hold the truth.)"
)


def print_calibration(
    name: str, table: pd.DataFrame | None, faulty: Collection[str], verdict: str, console: Console | None = None
) -> None:
    """Print the table of :func:`~pyro_vae.diagnostics.calibration.calibration_table` and the verdict, 80 columns wide.

    Args:
        name: of the guide, before its table.
        table: None where there is none.
        faulty: the rows to mark.
        verdict: one paragraph.
        console: Where to; None is standard output.
    """
    from rich.console import Console

    console = Console() if console is None else console
    width = min(console.width, WIDTH)
    ascii_only = not console.encoding.lower().startswith("utf")
    if table is not None:
        console.print(_table(name, table, faulty, ascii_only), width=width)
        if len(table) > MOST_ROWS:
            console.print(
                plain_text(f"... and {len(table) - MOST_ROWS} more, in summary.csv", "dim", ascii_only), width=width
            )
        console.print(plain_text(f"{_LEGEND}\n", "dim", ascii_only), width=width)
    console.print(plain_text(verdict, "", ascii_only), width=width)


def _table(name: str, table: pd.DataFrame, faulty: Collection[str], ascii_only: bool) -> Table:
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column(name, overflow="fold", max_width=28)
    for heading in ("below", "uniform p", "symmetric p", "50 %", "90 %"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for label, row in table.head(MOST_ROWS).to_dict("index").items():
        cells = [
            str(label),
            f"{100 * row['below_median']:.0f} %",
            _p(row["p_uniform"]),
            _p(row["p_symmetric"]),
            *(f"{100 * row[key]:.0f} ± {100 * row[f'{key}_se']:.0f}" for key in ("cover_50", "cover_90")),
        ]
        look = "bold red" if label in faulty else ""
        shown.add_row(*(plain_text(cell, look, ascii_only) for cell in cells))
    return shown


def _p(value: float) -> str:
    return "<.0001" if value < 0.0001 else f"{value:.4f}"
