"""The numbers and the verdict of a calibration study, from where the true values stood among the draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pyro_vae.diagnostics.symmetry import symmetry_test
from pyro_vae.diagnostics.uniformity import uniformity_test

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["sbc", "vsbc"]
Row = Mapping[str, Any]  # of the table
Rows = Mapping[str, Row]
LOG_LIKELIHOOD = "log-likelihood"  # the label of the joint one of all data, among the quantities
LEVEL = 0.05  # of a whole study: how often one that is right is called wrong
INTERVALS = (50, 90)  # percent
_TESTS = {"sbc": "p_uniform", "vsbc": "p_symmetric"}
_NAMED = 3  # parameters that the verdict speaks of one by one
_CLEAR = 2.0  # standard errors from which on a lean, or a spread, is spoken of


@dataclass(frozen=True)
class CalibrationVerdict:
    """``calibrated``: the method's test found nothing; ``faulty``: what it found, worst first; ``reason``: in words."""

    calibrated: bool
    faulty: tuple[str, ...]
    reason: str


def calibration_table(pits: Mapping[str, np.ndarray]) -> pd.DataFrame:
    r"""One row per quantity, from ``{label: [simulations]}``, numbers in (0, 1).

    Columns: ``mean_p``, below 1/2 where the posterior lies too high; ``below_median``, the share of simulations whose
    truth lies below the posterior's median; ``p_uniform`` and ``p_symmetric``, p-values not corrected for the number
    of quantities; ``cover_50``, ``cover_90``, the share whose truth is in the central interval, and its binomial
    standard error (``_se``; that of (x + 1) / (N + 2), so that it is never 0); ``side`` of the symmetry test.

    >>> table = calibration_table({"mu": np.random.default_rng(0).uniform(size=400)})
    >>> table.loc["mu", ["cover_50", "cover_90"]].round(1).tolist()
    [0.5, 0.9]
    """
    import pandas as pd

    rows = {}
    for label, values in pits.items():
        values = np.asarray(values, dtype=np.float64)
        p_symmetric, side = symmetry_test(values)
        row = {
            "simulations": len(values),
            "mean_p": values.mean(),
            "below_median": (values < 0.5).mean(),
            "p_uniform": uniformity_test(values),
            "p_symmetric": p_symmetric,
            "side": side,
        }
        for percent in INTERVALS:
            held = np.abs(2 * values - 1) <= percent / 100
            smooth = (held.sum() + 1) / (len(held) + 2)
            row[f"cover_{percent}"] = held.mean()
            row[f"cover_{percent}_se"] = np.sqrt(smooth * (1 - smooth) / len(held))
        row["lean"] = _z(values - 0.5, 0.0, 1 / 12)
        row["spread"] = _z((values - 0.5) ** 2, 1 / 12, 1 / 180)
        rows[label] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _z(values: np.ndarray, mean: float, variance: float) -> float:
    """How many standard errors the mean is from what it is for uniform numbers."""
    return float((values.mean() - mean) / np.sqrt(variance / len(values)))


def judge_calibration(table: pd.DataFrame, method: Method, level: float = LEVEL) -> CalibrationVerdict:
    """The verdict on a table of :func:`calibration_table`: ``"sbc"`` asks for uniform ranks, ``"vsbc"`` for symmetry.

    A quantity is faulty if its p-value is at most ``level`` over the number of quantities (Bonferroni): where all is
    right, one study in 1 / ``level`` or fewer names any.

    >>> table = calibration_table({"tau": np.random.default_rng(0).beta(1, 2, size=200)})
    >>> print(judge_calibration(table, "vsbc").reason.partition(".")[0])
    Biased: tau up (its truth lies below the posterior's median in 70 % of 200 simulations)
    """
    rows: Rows = {str(name): row for name, row in table.to_dict("index").items()}
    p = {name: row[_TESTS[method]] for name, row in rows.items()}
    faulty = tuple(sorted((name for name in p if p[name] <= level / len(p)), key=lambda name: p[name]))
    words = _ranks_in_words if method == "sbc" else _bias_in_words
    return CalibrationVerdict(not faulty, faulty, f"{words(rows, faulty, level)} {_coverage(rows)}")


def _ranks_in_words(rows: Rows, wrong: Sequence[str], level: float) -> str:
    count, total = _simulations(rows), len(rows)
    if not wrong:
        worst = min(rows, key=lambda name: rows[name]["p_uniform"])
        ranks = "its ranks" if total == 1 else f"the ranks of all {total} quantities"
        return (
            f"Calibrated, as far as {count} simulations can tell: {ranks} are uniform (the smallest p-value is "
            f"{rows[worst]['p_uniform']:.2g}, of {worst}; {level / total:.2g} would be too small)."
        )
    told = [f"{name} {_fault(rows[name])}" for name in wrong[:_NAMED]]
    more = f"; uneven too: {_listed(wrong[_NAMED:])}" if len(wrong) > _NAMED else ""
    return (
        f"Not calibrated: in {count} simulations, the ranks of {len(wrong)} of {total} quantities are not uniform. "
        f"{'; '.join(told)}{more}."
    )


def _fault(row: Row) -> str:
    said = []
    if abs(row["lean"]) > _CLEAR:
        said.append(f"is biased {_direction(row, row['lean'] < 0)} of the simulations)")
    if abs(row["spread"]) > _CLEAR:
        said.append(f"has a posterior that is too {'narrow' if row['spread'] > 0 else 'wide'}")
    return " and ".join(said) or "has ranks that are uneven in another way"


def _bias_in_words(rows: Rows, wrong: Sequence[str], level: float) -> str:
    count = _simulations(rows)
    fine = [name for name in rows if name not in wrong]
    if not wrong:
        return f"Not biased, as far as {count} simulations can tell: {_listed(fine)}."
    told = [
        f"{name} {_direction(rows[name], rows[name]['side'] < 0)} of {count} simulations)" for name in wrong[:_NAMED]
    ]
    ways = {
        way: [name for name in wrong[_NAMED:] if rows[name]["side"] == side] for way, side in (("up", -1), ("down", 1))
    }
    told += [f"{way} too {_listed(names)}" for way, names in ways.items() if names]
    rest = f" Not biased, as far as they can tell: {_listed(fine)}." if fine else ""
    return f"Biased: {'; '.join(told)}.{rest}"


def _direction(row: Row, up: bool) -> str:
    """``up (its truth lies below the posterior's median in 76 %``."""
    way, where, share = ("up", "below", row["below_median"]) if up else ("down", "above", 1 - row["below_median"])
    return f"{way} (its truth lies {where} the posterior's median in {_percent(share)}"


def _coverage(rows: Rows) -> str:
    """How often the intervals hold the truth: of the quantity with the least and the one with the most."""
    said = []
    for percent in INTERVALS:
        share = {name: row[f"cover_{percent}"] for name, row in rows.items()}
        least, most = min(share, key=lambda name: share[name]), max(share, key=lambda name: share[name])
        text = f"{100 * share[least]:.0f} ± {100 * rows[least][f'cover_{percent}_se']:.0f} %"
        if len(rows) > 1:
            text = f"{text} ({least}) to {_percent(share[most])} ({most})"
        said.append(f"the {percent} % intervals hold the truth in {text}")
    return f"T{', '.join(said)[1:]}."


def _simulations(rows: Rows) -> int:
    return int(next(iter(rows.values()))["simulations"])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b, c and 5 others``."""
    if len(names) > _NAMED + 1:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
