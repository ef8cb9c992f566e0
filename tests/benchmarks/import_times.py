"""What importing costs: seconds, in a fresh interpreter each time."""

from __future__ import annotations

from tests.benchmarks.race import Contender, race
from tests.benchmarks.row import Result, Row, Target
from tests.benchmarks.setting import Setting

TITLE = "Importing"
PEER = "import pyro"
TARGETS = {
    "import pyro_vae": Target("at most", 1.1),
    "from pyro_vae import fit": Target("at most", 1.1),
    "from pyro_vae import fit, nuts": None,
}


def run(setting: Setting) -> Result:
    """The package alone, which imports nothing until it is used, and what a person uses first."""
    contenders = [Contender(name, "importing:imports", {"statement": name}) for name in (*TARGETS, PEER)]
    measured = race(contenders, setting.repeats, setting.say)
    rows = [
        Row(name, "s", measured.of(name, "seconds"), measured.of(PEER, "seconds"), target)
        for name, target in TARGETS.items()
    ]
    return Result("import_times", TITLE, tuple(rows), notes=tuple(measured.notes))
