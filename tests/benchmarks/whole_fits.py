"""10 000 steps in a fresh process, tracing and compiling included; the compiler's cache empty, or kept from before."""

from __future__ import annotations

from tests.benchmarks.contenders.given import data_of
from tests.benchmarks.race import Contender, Measured, race
from tests.benchmarks.row import Result, Row, Target
from tests.benchmarks.setting import PARTICLES, PROGRAMS, Setting

TITLE = "10 000 steps in a fresh process"
COLD, CACHED = "pyro-vae, cold", "pyro-vae, cached"
PEER, PEER_CACHED = "NumPyro svi.run, cold", "NumPyro svi.run, JAX's cache kept"
# JAX keeps nothing by default, and of what is quick to compile not even when it is told to.
JAX_CACHE = {
    "JAX_COMPILATION_CACHE_DIR": "{cache}/jax",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def contenders(program: str, setting: Setting) -> list[Contender]:
    """Each in a new process every time."""
    ours = {"program": program, "particles": PARTICLES, "steps": setting.of(10_000, 1000)}
    theirs = {**ours, "data": data_of(program, setting.folder)}
    return [
        Contender(COLD, "ours:whole_fit", ours, fresh=True, cache="empty"),
        Contender(CACHED, "ours:whole_fit", ours, fresh=True),
        Contender(PEER, "with_numpyro:whole_fit", theirs, fresh=True, cache="empty", needs="numpyro"),
        Contender(
            PEER_CACHED, "with_numpyro:whole_fit", theirs, fresh=True, needs="numpyro", environment=JAX_CACHE
        ),
    ]  # fmt: skip


def run(setting: Setting) -> Result:
    """Both programs, cold and cached."""
    rows, notes = [], []
    for program, title in PROGRAMS.items():
        measured = race(contenders(program, setting), setting.repeats, setting.say)
        rows += _rows(title, measured)
        notes += measured.notes
    return Result("whole_fits", TITLE, tuple(rows), notes=tuple(notes))


def _rows(title: str, measured: Measured) -> list[Row]:
    def row(what: str, ours: str, peer: str, target: Target | None = None, figure: str = "seconds") -> Row:
        return Row(f"{title}: {what}", "s", measured.of(ours, figure), measured.of(peer, figure), target)

    return [
        row("the fit, cold", COLD, PEER, Target("at most", 2)),
        row("the fit, cached", CACHED, PEER, Target("at most", 1)),
        row("the fit, both cached", CACHED, PEER_CACHED),
        row("the process, cold", COLD, PEER, figure="process_seconds"),
        row("the process, both cached", CACHED, PEER_CACHED, figure="process_seconds"),
        Row(f"{title}: all but the steps, cached", "s", measured.of(CACHED, "around"), target=Target("at most", 1)),
    ]
