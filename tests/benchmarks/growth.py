"""Time and memory of logistic regression with K from 1 to 4096, and with 1e3 to 1e6 rows, whole and subsampled."""

from __future__ import annotations

from math import log

from tests.benchmarks.contenders.given import data_of
from tests.benchmarks.race import Contender, race
from tests.benchmarks.row import Figures, Result, Row, Target
from tests.benchmarks.setting import Setting

TITLE = "Growth, logistic regression"
BATCH = 500
OURS, PEER = "pyro-vae", "NumPyro lax.scan"
PARTICLES, WHOLE, SUBSAMPLED, MEMORY = "K", "rows", "rows, subsampled", "memory, subsampled"


def _steps(work: float, setting: Setting) -> int:
    """Steps that take about a second, of ``work`` rows times particles each."""
    return max(30, min(setting.of(5000, 500), int(setting.of(2_000_000_000, 20_000_000) / work)))


def run(setting: Setting) -> Result:
    """Both ways of growing, and what the curves come to."""
    rows = [*_by_particles(setting), *_by_rows(setting)]
    return Result("growth", TITLE, (*_summary(rows), *rows))


def _by_particles(setting: Setting) -> list[Row]:
    program = "logistic_regression"
    data, found = data_of(program, setting.folder), []
    for particles in (1, 4, 16, 64, 256, 1024, 4096)[:: setting.of(1, 6)]:
        options = {"program": program, "particles": particles, "steps": _steps(569 * particles, setting)}
        measured = race(
            [
                Contender(OURS, "ours:steps", options),
                Contender(PEER, "with_numpyro:scan", {**options, "data": data}, needs="numpyro"),
            ],
            setting.repeats,
            setting.say,
        )
        ours, peer = (_shared(measured.of(name, "step"), particles) for name in (OURS, PEER))
        found.append(Row(f"K = {particles}", "µs per step and particle", ours, peer, series=PARTICLES, x=particles))
    return found


def _by_rows(setting: Setting) -> list[Row]:
    found = []
    for count in (1000, 10_000, 100_000, 1_000_000)[: setting.of(4, 2)]:
        for batch in (None, BATCH):
            options = {"rows": count, "particles": 1, "batch": batch, "steps": _steps(20 * (batch or count), setting)}
            measured = race(
                [
                    Contender(OURS, "ours:rows", options),
                    Contender(PEER, "with_numpyro:rows", options, needs="numpyro"),
                ],
                setting.repeats,
                setting.say,
            )
            series = WHOLE if batch is None else SUBSAMPLED
            what = f"{count:,} rows".replace(",", " ") + ("" if batch is None else f", {BATCH} at a step")
            both = measured.of(OURS, "step"), measured.of(PEER, "step")
            found.append(Row(what, "µs per step", *both, series=series, x=count))
            if batch is not None:
                both = measured.of(OURS, "memory"), measured.of(PEER, "memory")
                found.append(Row(what, "MB beyond the data", *both, series=MEMORY, x=count))
    return found


def _shared(figures: Figures, by: int) -> Figures:
    return Figures(figures.name, tuple(value / by for value in figures.values), figures.why_not)


def _summary(rows: list[Row]) -> list[Row]:
    """What each curve is to show, in one number."""

    def curve(series: str) -> list[Row]:
        return [row for row in rows if row.series == series]

    def alone(what: str, value: float, target: Target) -> Row:
        return Row(what, "", Figures(OURS, (value,)), target=target)

    particles = [row.ours.median for row in curve(PARTICLES)]
    # The last 100 times of four lengths; a quick run has two.
    few, many = curve(WHOLE)[-3:][0], curve(WHOLE)[-1]
    least, most = curve(MEMORY)[0], curve(MEMORY)[-1]
    power = log(many.ours.median / few.ours.median) / log((many.x or 1) / (few.x or 1))
    gain = min(particles) / particles[0]
    return [
        alone("time of a particle: the least of any K / that of K = 1", gain, Target("at most", 0.5)),
        alone("time of a step grows with the rows, the last 100 times, to the power", power, Target("at most", 1.05)),
        alone(
            "memory, subsampled: with the most rows / with 1000", most.ours.median / least.ours.median,
            Target("at most", 1.2),
        ),
    ]  # fmt: skip
