"""The table of all rows, and how often the verdict on NUTS's draws was right, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHORT = {"auto_normal": "mean-field", "auto_multivariate_normal": "full-rank", "auto_neural_spline": "spline flow"}
CLOSE = 0.1  # standard deviations
MEAN, RATIO = 0.3, 1.3  # what "trusted" promises

Row = Mapping[str, Any]


def markdown(rows: Sequence[Row]) -> str:
    """The table, counts of what is close, and the verdicts against the truth."""
    parts = [_table(rows), _counts(rows)]
    judged = [row for row in rows if row["verdict"]]
    if judged:
        parts.append(confusion(judged))
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row]) -> str:
    head = (
        "| posterior | guide | mean | sd ratio | W₁ | k̂ | PSIS mean | PSIS sd ratio | PSIS W₁ | verdict "
        "| s | NUTS s |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_line(row) for row in rows)])


def _line(row: Row) -> str:
    numbers = ("mean_error", "sd_ratio", "wasserstein", "khat", "psis_mean_error", "psis_sd_ratio", "psis_wasserstein")
    cells = [f"{float(row[name]):.2f}".replace("nan", "—").replace("inf", "∞") for name in numbers]
    times = [f"{float(row[name]):.0f}".replace("nan", "—") for name in ("seconds", "nuts_seconds")]
    guide = SHORT.get(row["guide"], row["guide"])
    return "| " + " | ".join([row["posterior"], guide, *cells, row["verdict"] or "—", *times]) + " |"


def _counts(rows: Sequence[Row]) -> str:
    lines = []
    for guide in dict.fromkeys(row["guide"] for row in rows):
        own = [row for row in rows if row["guide"] == guide]
        raw, psis = (sum(float(row[name]) < CLOSE for row in own) for name in ("mean_error", "psis_mean_error"))
        lines.append(
            f"- {SHORT.get(guide, guide)}: every mean within .1 sd on {raw} of {len(own)}, on {psis} with PSIS"
        )
    return "\n".join(lines)


def is_good(row: Row, prefix: str = "") -> bool:
    """Whether every mean and sd is as near the reference's as "trusted" promises."""
    ratio = float(row[f"{prefix}sd_ratio"])
    return float(row[f"{prefix}mean_error"]) < MEAN and 1 / RATIO < ratio < RATIO


def confusion(rows: Sequence[Row]) -> str:
    """Verdicts on NUTS's draws against what the reference says: precision and recall of "trusted"."""
    lines = ["| verdict | good | good with PSIS | neither |", "|---|---|---|---|"]
    for level in ("trusted", "reweight", "untrusted", "none"):
        own = [row for row in rows if row["verdict"] == level]
        good = sum(is_good(row) for row in own)
        mended = sum(not is_good(row) and is_good(row, "psis_") for row in own)
        lines.append(f"| {level} | {good} | {mended} | {len(own) - good - mended} |")
    decided = [row for row in rows if row["verdict"] != "none"]
    trusted, good = ({id(row) for row in decided if test(row)} for test in (_trusted, is_good))
    both = len(trusted & good)
    said = f'"trusted": precision {both}/{len(trusted)}, recall {both}/{len(good)}.'
    return "\n".join([*lines, "", said])


def _trusted(row: Row) -> bool:
    return row["verdict"] == "trusted"
