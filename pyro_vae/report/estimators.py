"""Gradient estimators side by side: what each fit reached, on its own scale and on the common one, and what it cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyro_vae.plots.estimators import start_up, step_seconds
from pyro_vae.report.words import decimal, with_error

if TYPE_CHECKING:
    from pyro_vae.report.content import ReportContent

_NAN = float("nan")


@dataclass(frozen=True)
class EstimatorRow:
    """A fit in words: every field is ready to be shown, empty where nothing is known.

    ``bound`` begins with ≤ if it is an upper bound. ``level`` is that of the verdict, or "diverged".
    """

    name: str
    bound: str
    elbo: str
    khat: str
    level: str
    converged: str
    steps: str
    per_step: str
    seconds: str
    start_up: str


def estimator_rows(content: ReportContent) -> list[EstimatorRow]:
    """A row for every fit, in the order in which they were made."""
    return [_row(entry[content.kind], entry) for entry in numbers(content)]


def numbers(content: ReportContent) -> list[dict[str, Any]]:
    """The same as numbers: nats, milliseconds and seconds; NaN, or None for what is no number, where not known."""
    return [_numbers(content, name) for name in dict.fromkeys([*content.fits, *content.names])]


def _numbers(content: ReportContent, name: str) -> dict[str, Any]:
    gone = name in content.diverged
    fit, judged = content.fits.get(name, {}), content.judgements.get(name)
    history = content.histories.get(name)
    weights = None if judged is None else judged.weights
    return {
        content.kind: name,
        "bound": _NAN if gone else fit.get("bound", _NAN),
        "bound_se": _NAN if gone else fit.get("bound_se", _NAN),
        "elbo": _NAN if judged is None else judged.elbo,
        "elbo_se": _NAN if judged is None else judged.elbo_se,
        "khat": _NAN if weights is None else weights.khat,
        "level": None if judged is None else judged.verdict.level,
        "converged": bool(fit["converged"]) if fit else None,
        "diverged": gone,
        "upper_bound": bool(fit.get("upper_bound")),
        "steps": fit.get("steps", 0),
        **_times(history),
    }


def _times(history: Any) -> dict[str, float]:
    """``seconds`` of the steps, ``start_up`` that was in the first of them apart; NaN where there was no fit."""
    if history is None or not len(history.seconds):
        return dict.fromkeys(("ms_per_step", "seconds", "start_up"), _NAN)
    once = start_up(history.seconds)
    return {
        "ms_per_step": 1000 * step_seconds(history.seconds),
        "seconds": float(history.seconds[-1]) - once,
        "start_up": once,
    }


def _row(name: str, entry: dict[str, Any]) -> EstimatorRow:
    converged = {True: "yes", False: "no", None: ""}[entry["converged"]]
    return EstimatorRow(
        name=name,
        bound="≤ " * entry["upper_bound"] + _known(with_error(entry["bound"], entry["bound_se"])),
        elbo=_known(with_error(entry["elbo"], entry["elbo_se"])),
        khat=_known(decimal(entry["khat"])),
        level="diverged" if entry["diverged"] else entry["level"] or "",
        converged="no" if entry["diverged"] else converged,
        steps=f"{entry['steps']:,}" if entry["steps"] else "",
        per_step=_known(_time(entry["ms_per_step"])),
        seconds=_known(decimal(entry["seconds"], 1)),
        start_up=_known(decimal(entry["start_up"], 1)),
    )


def _known(text: str) -> str:
    return "" if text == "–" else text


def _time(milliseconds: float) -> str:
    """Three digits are more than a clock on a shared machine is good for."""
    if not math.isfinite(milliseconds) or milliseconds <= 0:
        return ""
    return decimal(milliseconds, max(0, 1 - math.floor(math.log10(milliseconds))))
