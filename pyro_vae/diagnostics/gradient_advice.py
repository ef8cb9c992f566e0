"""Which estimator to choose, from what was measured of each, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pyro_vae.diagnostics.gradient_noise import EstimatorNoise, named

LEVEL_WITH = 1.3  # times the variance x seconds of the best: no reason to choose
_OF = {"model": "of the model", "both": "that guide and model share"}
PLACES = {"start": "at the start", "fit": "at the fit"}


def recommendation(rows: Sequence[EstimatorNoise], entries: Mapping[str, Sequence[str]]) -> str:
    """One paragraph per objective that several estimators follow: the one that gives the most accurate gradient for
    the time, at the last place that was measured, and what speaks against it.

    Estimators of different objectives are not held against each other; nor is one whose mean is off.
    """
    part = next(iter(entries))
    places = list(dict.fromkeys(row.place for row in rows))
    objectives = dict.fromkeys(row.objective for row in rows if row.part == part)
    said = [_for_objective(rows, objective, part, places) for objective in objectives]
    paragraphs = [text for text in said if text]
    if len(paragraphs) > 1:
        paragraphs.append("The objectives differ, so their variances cannot be compared with each other.")
    paragraphs += _biased(rows, entries)
    if not paragraphs:
        paragraphs = ["One estimator was measured for each objective, so there is nothing to choose between."]
    if part != "guide":
        paragraphs.append("The guide has no parameters of its own: this is about those " + _OF[part] + ".")
    elif "model" in entries:
        paragraphs += _for_model(rows, places[-1])
    return "\n".join(paragraphs)


def _ranked(rows: Sequence[EstimatorNoise], objective: str, part: str, place: str) -> list[EstimatorNoise]:
    found = [row for row in named(rows, place, part).values() if row.objective == objective and row.biased != "yes"]
    return sorted(found, key=lambda row: row.variance_seconds)


def _for_objective(rows: Sequence[EstimatorNoise], objective: str, part: str, places: Sequence[str]) -> str:
    ranked = _ranked(rows, objective, part, places[-1])
    trusted = [row for row in ranked if row.biased != "by design"]
    if len(ranked) < 2 or not trusted:
        return ""
    best = _choice(trusted, rows, objective, part, places[:-1])
    said = [f"{objective}: {best.estimator}. {_lead(best, ranked, places[-1])}"]
    for place in reversed(places[:-1]):
        said.append(_elsewhere(best, _ranked(rows, objective, part, place), place))
    return " ".join(sentence for sentence in said if sentence)


def _choice(
    trusted: Sequence[EstimatorNoise], rows: Sequence[EstimatorNoise], objective: str, part: str, before: Sequence[str]
) -> EstimatorNoise:
    """Of those that are level at the last place, the one that is ahead at the place before it."""
    level = [row for row in trusted if row is trusted[0] or _times(row, trusted[0]) < LEVEL_WITH]
    if not before:
        return level[0]
    there = [row.estimator for row in _ranked(rows, objective, part, before[-1])]
    return min(level, key=lambda row: there.index(row.estimator) if row.estimator in there else len(there))


def _lead(best: EstimatorNoise, ranked: Sequence[EstimatorNoise], place: str) -> str:
    others = [row for row in ranked if row is not best]
    where = PLACES[place].capitalize()
    if best.moments.total_variance == 0:
        return f"{where} its gradient has no noise at all."
    level = [row for row in others if _times(row, best) < LEVEL_WITH]
    beyond = [row for row in others if row not in level]
    said = [f"{_names(level)} {'is' if len(level) == 1 else 'are'} level with it, within {LEVEL_WITH:g} times"] * bool(
        level
    )
    if beyond:
        following, last = beyond[0], beyond[-1]
        text = (
            f"it has {_factor(following, best)} less variance per second than {following.estimator}"
            f"{_design(following)}, which has {_why(following, best)}"
        )
        if last is not following:
            text += f", and {_factor(last, best)} less than {last.estimator}{_design(last)}"
        said.append(text)
    return f"{where} {'; '.join(said)}."


def _elsewhere(best: EstimatorNoise, ranked: Sequence[EstimatorNoise], place: str) -> str:
    """What the choice is worth at another place."""
    there = next((row for row in ranked if row.estimator == best.estimator), None)
    leader = next((row for row in ranked if row.biased != "by design"), None)
    where = PLACES[place]
    if there is None or leader is None:
        return f"But {where} it could not be measured."
    following = next((row for row in ranked if row is not there), there)
    if leader is there and _times(following, there) >= LEVEL_WITH:
        return f"{where.capitalize()} it leads too, by {_factor(following, there)}."
    if _times(there, leader) < LEVEL_WITH:
        return f"{where.capitalize()} it is level with the best."
    return f"But {where} {leader.estimator} has {_factor(there, leader)} less variance per second."


def _for_model(rows: Sequence[EstimatorNoise], place: str) -> list[str]:
    """A sentence where the model's own gradient would have another choice."""
    said = []
    for objective in dict.fromkeys(row.objective for row in rows if row.part == "model"):
        for_guide, for_model = _ranked(rows, objective, "guide", place), _ranked(rows, objective, "model", place)
        if not for_guide or len(for_model) < 2 or for_model[0].estimator == for_guide[0].estimator:
            continue
        chosen = next((row for row in for_model if row.estimator == for_guide[0].estimator), None)
        if chosen is not None and _times(chosen, for_model[0]) > LEVEL_WITH:
            said.append(
                f"For the model's own parameters ({objective}) {for_model[0].estimator} has "
                f"{_factor(chosen, for_model[0])} less variance per second than {chosen.estimator}."
            )
    return said


def _biased(rows: Sequence[EstimatorNoise], entries: Mapping[str, Sequence[str]]) -> list[str]:
    said = []
    for row in rows:
        if row.biased == "yes" and row.bias is not None:
            worst = row.bias.worst
            said.append(
                f"{row.estimator} is biased {PLACES[row.place]}: the mean of {row.moments.count} gradients is "
                f"{abs(row.bias.z[worst]):.0f} standard errors off for '{entries[row.part][worst]}' "
                f"({row.bias.difference[worst]:+.3g})."
            )
    return said


def _times(row: EstimatorNoise, best: EstimatorNoise) -> float:
    return row.variance_seconds / best.variance_seconds if best.variance_seconds > 0 else math.inf


def _factor(row: EstimatorNoise, best: EstimatorNoise) -> str:
    times = _times(row, best)
    if math.isinf(times):
        return "infinitely many times"
    return f"{times:.1f} times" if times < 9.95 else f"{float(f'{times:.2g}'):,.0f} times"


def _why(row: EstimatorNoise, best: EstimatorNoise) -> str:
    """Where the lead comes from: fewer numbers to go wrong, or less to compute."""
    variance = row.moments.total_variance / best.moments.total_variance
    seconds = row.cost / best.cost
    return f"{_plainly(variance)} times the variance and {_plainly(seconds)} times the seconds"


def _plainly(number: float) -> str:
    """Two digits, without an exponent.

    >>> _plainly(0.783), _plainly(1834.0)
    ('0.78', '1,800')
    """
    return f"{number:.2g}" if number < 10 else f"{float(f'{number:.2g}'):,.0f}"


def _names(rows: Sequence[EstimatorNoise]) -> str:
    return ", ".join(f"{row.estimator}{_design(row)}" for row in rows)


def _design(row: EstimatorNoise) -> str:
    return " (biased by design)" if row.biased == "by design" else ""
