"""A study of gradients in the terminal: a table for each place and part of the parameters, then the recommendation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyro_vae.diagnostics.gradient_noise import EstimatorNoise, groups, named
from pyro_vae.report.terminal import WIDTH, columns, plain_text

if TYPE_CHECKING:
    from rich.console import Console

_HEADINGS = ("variance", "SNR", "bias, z", "ms", "runs", "var x ms")
_WHERE = {"start": "At the start", "fit": "At the fit"}
_WHOSE = {"guide": "the guide's gradient", "model": "the model's gradient", "both": "the gradient that both share"}
_BIAS = {"no": "none", "yes": "BIASED", "by design": "by design", "unknown": "?"}
_LEGEND = (
    "(variance: summed over the parameters. SNR: length of the mean over the root of that. bias: found or not, and z "
    "of the parameter that is furthest from the reference, in standard errors. ms: the median of one gradient. runs: "
    "evaluations of the model for it, every particle counted. Compare within one objective.)"
)


def print_gradients(
    rows: Sequence[EstimatorNoise],
    entries: Mapping[str, Sequence[str]],
    left_out: Mapping[str, str],
    recommendation: str,
    console: Console | None = None,
) -> None:
    """Print what was found, 80 columns wide; ASCII where the encoding has no more.

    Args:
        rows: the findings.
        entries: the names of the scalar parameters, by part.
        left_out: why, by estimator, one has no finding.
        recommendation: in words.
        console: where to; None is standard output.
    """
    from rich.console import Console

    console = Console() if console is None else console
    width = min(console.width, WIDTH)
    ascii_only = not console.encoding.lower().startswith("utf")
    every_objective = {row.objective for row in rows}
    drop = _common_particles(every_objective)
    for place in dict.fromkeys(row.place for row in rows):
        for part, names in entries.items():
            found = list(named(rows, place, part).values())
            if not found:
                continue
            count = f"{len(names)} number{'s' * (len(names) != 1)}"
            console.print(plain_text(f"{_WHERE[place]}, {_WHOSE[part]} ({count}{drop})", "bold", ascii_only))
            longest = max(len("estimator"), *(len(row.estimator) for row in found))
            table = columns("estimator", min(longest, 30), _HEADINGS, _lines(found, drop), ascii_only)
            console.print(table, width=width)
            console.print()
    console.print(plain_text(_LEGEND, "dim", ascii_only), width=width)
    for name, why in left_out.items():
        console.print(plain_text(f"\nLeft out: {name}. {_first_sentence(why)}", "", ascii_only), width=width)
    console.print(plain_text(f"\n{recommendation}", "", ascii_only), width=width)


def _lines(rows: Sequence[EstimatorNoise], drop: str) -> list[tuple[str, ...]]:
    """A line per estimator under a line for its objective, where there are several."""
    found = groups(rows)
    lines: list[tuple[str, ...]] = []
    for heading, group in found.items():
        if len(found) > 1:
            lines.append((f"- {heading.partition(' (K=')[0] if drop else heading}", *[""] * len(_HEADINGS)))
        lines += [_cells(row) for row in group]
    return lines


def _common_particles(objectives: set[str]) -> str:
    """ "; K = 16" where all objectives of several draws have that number, which then is said once."""
    found = {said.group(1) for name in objectives if (said := re.search(r" \(K=(\d+)\)$", name))}
    return f"; K = {found.pop()}" if len(found) == 1 else ""


def _cells(row: EstimatorNoise) -> tuple[str, ...]:
    moments, z = row.moments, "" if row.bias is None else f" {row.bias.z[row.bias.worst]:+.1f}"
    return (
        row.estimator,
        _short(moments.total_variance),
        "" if math.isnan(moments.signal_to_noise) else _short(moments.signal_to_noise),
        f"{_BIAS[row.biased]}{z}",
        _short(1000 * row.cost),
        "" if math.isnan(row.evaluations) else f"{row.evaluations:.0f}",
        _short(1000 * row.variance_seconds),
    )


def _short(number: float) -> str:
    """Two or three digits: more is not known."""
    if number == 0 or math.isinf(number):
        return f"{number:g}"
    if 0.01 <= abs(number) < 10_000:
        return f"{number:.3g}" if abs(number) < 1000 else f"{number:.0f}"
    mantissa, _, exponent = f"{number:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def _first_sentence(text: str) -> str:
    """The reason without the advice that follows it."""
    return re.split(r"(?<=[a-z)'\"])\. |(?<=\)): ", text, maxsplit=1)[0].rstrip(".") + "."
