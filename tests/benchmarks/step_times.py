"""Time per optimisation step: mean-field guide, K = 16, Adam, float32, one thread."""

from __future__ import annotations

from tests.benchmarks.contenders.given import data_of
from tests.benchmarks.race import Contender, race
from tests.benchmarks.row import Result, Row, Target
from tests.benchmarks.setting import PARTICLES, PROGRAMS, Setting

TITLE = "One step of a fit, K = 16"
TARGETS = {
    ("eight_schools_noncentered", "Pyro Trace_ELBO"): Target("at least", 300),
    ("eight_schools_noncentered", "NumPyro lax.scan"): Target("at most", 0.35),
    ("logistic_regression", "Pyro Trace_ELBO"): Target("at least", 45),
    ("logistic_regression", "NumPyro lax.scan"): Target("at most", 0.4),
}


def contenders(program: str, setting: Setting) -> list[Contender]:
    """Ours first."""
    common = {"program": program, "particles": PARTICLES}
    numpyro = {**common, "data": data_of(program, setting.folder)}
    slow, middle, fast = setting.of(300, 10), setting.of(2000, 50), setting.of(10_000, 2000)
    return [
        Contender("pyro-vae", "ours:steps", {**common, "steps": fast}),
        Contender("Pyro Trace_ELBO, as it comes", "with_pyro:steps", common | _pyro(slow, False, True)),
        Contender("Pyro Trace_ELBO", "with_pyro:steps", common | _pyro(slow, False, False)),
        Contender("Pyro JitTrace_ELBO", "with_pyro:steps", common | _pyro(slow, True, False)),
        Contender("NumPyro svi.update", "with_numpyro:loop", {**numpyro, "steps": middle}, needs="numpyro"),
        Contender("NumPyro lax.scan", "with_numpyro:scan", {**numpyro, "steps": fast}, needs="numpyro"),
    ]


def _pyro(steps: int, jit: bool, validation: bool) -> dict:
    return {"steps": steps, "jit": jit, "validation": validation}


def run(setting: Setting) -> Result:
    """Every program of the setting, ours beside each peer."""
    rows, notes = [], []
    for program, title in PROGRAMS.items():
        ours, *peers = contenders(program, setting)
        measured = race([ours, *peers], setting.repeats, setting.say)
        notes += measured.notes
        rows += [
            Row(
                title, "µs per step", measured.of(ours.name, "step"), measured.of(peer.name, "step"),
                TARGETS.get((program, peer.name)),
            )
            for peer in peers
        ]  # fmt: skip
    return Result("step_times", TITLE, tuple(rows), notes=tuple(notes))
