"""The parameter table of a guide as rows of text, each cell marked where it breaks the rule of the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pyro_vae.diagnostics.misfit import MAX_SD_FACTOR, MAX_SHIFT, misfit
from pyro_vae.report.words import decimal, scaled, signed

if TYPE_CHECKING:
    import pandas as pd

    from pyro_vae.diagnostics.judgement import Judgement

Entry = Mapping[str, float]
OPEN = 12
"""A table of more rows is shown by its worst ones, with all of them folded away."""
WORST = 8
MOST = 2000


@dataclass(frozen=True)
class Cell:
    """A number as text, and what is wrong with it: nothing, "high", "low", "uncertain", "wide" or "narrow"."""

    text: str
    broken: str = ""


@dataclass(frozen=True)
class TableRow:
    """A parameter: its label, cells in the order of ``COLUMNS``, and whether it breaks the rule."""

    label: str
    cells: tuple[Cell, ...]
    broken: bool


@dataclass(frozen=True)
class Column:
    """A heading and what it means."""

    heading: str
    meaning: str


COLUMNS = (
    Column("Δ mean", "difference of the means in baseline sds, ± its Monte-Carlo standard error"),
    Column("sd ratio", "sd of the guide / sd of the baseline"),
    Column("mean", "of the guide's draws"),
    Column("sd", "of the guide's draws"),
    Column("baseline mean", "of the baseline's draws"),
    Column("baseline sd", "of the baseline's draws"),
    Column("Δ 5 %", "difference of the 5 % quantiles in baseline sds"),
    Column("Δ 50 %", "difference of the medians in baseline sds"),
    Column("Δ 95 %", "difference of the 95 % quantiles in baseline sds"),
    Column("W₁", "1-Wasserstein distance of the marginals in baseline sds"),
    Column("Δ mean, weighted", "the same difference after weighting the draws by importance (PSIS)"),
    Column("sd ratio, weighted", "the same ratio after weighting the draws by importance (PSIS)"),
)


@dataclass(frozen=True)
class ParameterTable:
    """Rows in the model's order, and the worst of them first if there are too many to read."""

    worst: tuple[TableRow, ...]
    rows: tuple[TableRow, ...]
    broken: int
    left_out: int


def parameter_rows(judgement: Judgement) -> ParameterTable:
    """The rows of a guide's table: all of them, and, when there are more than 12, the 8 worst."""
    table, corrected = judgement.table, judgement.corrected
    scores = misfit(table)
    shown = table.index if len(table) <= MOST else scores.sort_values(ascending=False).index[:MOST]
    weighted = {} if corrected is None else _entries(corrected)
    rows = {label: _row(label, entry, weighted.get(label)) for label, entry in _entries(table.loc[shown]).items()}
    worst: tuple[TableRow, ...] = ()
    if len(table) > OPEN:
        worst = tuple(rows[str(label)] for label in scores.sort_values(ascending=False).index[:WORST])
    return ParameterTable(worst, tuple(rows.values()), int((scores >= 1).sum()), len(table) - len(rows))


def _entries(table: pd.DataFrame) -> dict[str, Entry]:
    return {str(label): entry for label, entry in table.to_dict("index").items()}


def _row(label: str, row: Entry, weighted: Entry | None) -> TableRow:
    sd = row["baseline_sd"]
    cells = [
        _shift(row),
        _ratio(row),
        Cell(scaled(row["mean"], sd)),
        Cell(scaled(row["sd"], sd)),
        Cell(scaled(row["baseline_mean"], sd)),
        Cell(scaled(sd, sd)),
        *(Cell(signed(row[name])) for name in ("delta_q5", "delta_q50", "delta_q95")),
        Cell(decimal(row["wasserstein"])),
    ]
    cells += [Cell("–"), Cell("–")] if weighted is None else [_shift(weighted), _ratio(weighted)]
    return TableRow(label, tuple(cells), any(cell.broken for cell in cells[:10]))


def _shift(row: Entry) -> Cell:
    delta, mcse = row["delta_mean"], row["mcse"]
    text = signed(delta) if np.isnan(mcse) else f"{signed(delta)} ± {decimal(mcse)}"
    if abs(delta) + 2 * np.nan_to_num(mcse) < MAX_SHIFT:
        return Cell(text)
    if abs(delta) < MAX_SHIFT:
        return Cell(text, "uncertain")
    return Cell(text, "low" if delta < 0 else "high")


def _ratio(row: Entry) -> Cell:
    ratio = row["sd_ratio"]
    if 1 / MAX_SD_FACTOR < ratio < MAX_SD_FACTOR:
        return Cell(decimal(ratio))
    return Cell(decimal(ratio), "narrow" if ratio < 1 else "wide")
