"""A step of a VAE of binary images, batch 128, one draw, Adam: a Pyro program and ``fit``, and by hand in PyTorch."""

from __future__ import annotations

from tests.benchmarks.race import Contender, race
from tests.benchmarks.row import Result, Row, Target
from tests.benchmarks.setting import Setting

TITLE = "One step of a VAE, batch 128"
BATCH = 128
SIZES = ((784, 400, 20), (64, 128, 8))
EAGER, COMPILED = "by hand, eager", "by hand, torch.compile"
TARGETS = {EAGER: Target("at most", 1.0), COMPILED: Target("at most", 1.05)}


def contenders(sizes: tuple[int, int, int], loader: bool, setting: Setting) -> list[Contender]:
    """Ours first."""
    common = {"sizes": sizes, "batch": BATCH, "loader": loader, "steps": setting.of(500, 20)}
    # A fit is timed after its first steps, so it takes more of them.
    ours = {**common, "steps": setting.of(1250, 60)}
    return [
        Contender("pyro-vae", "ours:vae", ours),
        Contender(EAGER, "with_torch:vae", {**common, "compile": False}),
        Contender(COMPILED, "with_torch:vae", {**common, "compile": True}),
    ]


def run(setting: Setting) -> Result:
    """Both sizes, with one batch again and again and from a ``DataLoader``."""
    rows, notes = [], []
    for sizes in SIZES:
        for loader in (False, True):
            title = "VAE " + "-".join(map(str, sizes)) + (", DataLoader" if loader else ", one batch")
            ours, *peers = contenders(sizes, loader, setting)
            measured = race([ours, *peers], setting.repeats, setting.say)
            notes += [f"{title}: {note}" for note in measured.notes]
            rows += [
                Row(
                    title, "µs per step", measured.of(ours.name, "step"), measured.of(peer.name, "step"),
                    TARGETS[peer.name],
                )
                for peer in peers
            ]  # fmt: skip
    return Result("vaes", TITLE, tuple(rows), notes=tuple(notes))
