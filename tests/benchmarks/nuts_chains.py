"""NUTS, 4 chains of 1000 draws after 1000: the worst parameter's bulk ESS per second and per gradient."""

from __future__ import annotations

from itertools import product

from tests.benchmarks.contenders.given import data_of
from tests.benchmarks.race import Contender, Measured, race
from tests.benchmarks.row import Result, Row, Target
from tests.benchmarks.setting import NUMPYRO, PROGRAMS, Setting

TITLE = "NUTS, 4 chains, warm-up and compiling included"
ONE, COLD, ALL = "pyro-vae", "pyro-vae, nothing cached", "pyro-vae, all cores"
PYRO, PYRO_JIT = "Pyro", "Pyro, jit"
PARALLEL = f"{NUMPYRO}, parallel, all cores"


def contenders(program: str, setting: Setting) -> list[Contender]:
    """Each in a new process every time, on one thread but for those that say otherwise.

    Pyro runs once, jitted thrice: it takes minutes.
    """
    common = {"program": program, "chains": 4, "draws": setting.of(1000, 25), "warmup": setting.of(1000, 25)}
    ours = [
        Contender(ONE, "ours:nuts", common, fresh=True),
        Contender(COLD, "ours:nuts", common, fresh=True, cache="empty"),
        Contender(ALL, "ours:nuts", common, fresh=True, cores=None),
    ]
    pyro = [
        Contender(PYRO, "with_pyro:nuts", {**common, "jit": False}, fresh=True, cache="empty", repeats=1),
        Contender(PYRO_JIT, "with_pyro:nuts", {**common, "jit": True}, fresh=True, cache="empty", repeats=3),
    ]
    theirs = {**common, "data": data_of(program, setting.folder)}
    numpyro = [
        Contender(
            f"{NUMPYRO}, {method}{', all cores' if method == 'parallel' else ''}{', float64' if x64 else ''}",
            "with_numpyro:nuts", {**theirs, "method": method, "x64": x64}, fresh=True, cache="empty",
            cores=None if method == "parallel" else 1, needs="numpyro",
        )
        for method, x64 in product(("sequential", "vectorized", "parallel"), (False, True))
    ]  # fmt: skip
    return [*ours, *pyro, *numpyro]


def run(setting: Setting) -> Result:
    """Both programs."""
    rows, notes = [], []
    for program, title in PROGRAMS.items():
        everybody = contenders(program, setting)
        measured = race(everybody, setting.repeats, setting.say)
        rows += _rows(title, measured, [contender.name for contender in everybody[3:]])
        notes += measured.notes
    return Result("nuts_chains", TITLE, tuple(rows), notes=tuple(notes))


def _rows(title: str, measured: Measured, peers: list[str]) -> list[Row]:
    def row(figure: str, unit: str, ours: str, peer: str, target: Target | None = None) -> Row:
        more = unit.startswith("ESS")
        return Row(title, unit, measured.of(ours, figure), measured.of(peer, figure), target, more_is_better=more)

    rows = []
    for peer in peers:
        ours = ALL if "all cores" in peer else ONE
        rows.append(row("per_second", "ESS per second", ours, peer, _target(peer)))
    rows += [row("per_second", "ESS per second", COLD, peer) for peer in peers if "all cores" not in peer]
    rows += [row("per_gradient", "ESS per gradient", ONE, peer) for peer in (PYRO_JIT, *_sequential(peers))]
    return rows + [row("process_seconds", "s, the process", ONE, peer) for peer in _sequential(peers)]


def _target(peer: str) -> Target:
    return Target("at least", 2 if peer.startswith(NUMPYRO) else 20)


def _sequential(peers: list[str]) -> list[str]:
    return [peer for peer in peers if "sequential" in peer]
