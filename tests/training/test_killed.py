"""A run that is killed with ``kill -9`` at any moment and started again ends as one that was never killed."""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from pathlib import Path

import pytest
import torch

from pyro_vae.training.checkpoints import previous_of
from pyro_vae.training.storage import read_tree, write_tree
from tests.training.killed import killable_fit

KILLS = 20
pytestmark = pytest.mark.slow


def in_a_child(checkpoint, out):
    """A child process that fits; forked, because importing takes longer than the fit."""
    child = os.fork()
    if child:
        return child
    try:
        write_tree(out, killable_fit(checkpoint))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_kills_at_random_moments_change_no_bit(tmp_path: Path) -> None:
    started = time.perf_counter()
    os.waitpid(in_a_child(tmp_path / "whole.safetensors", tmp_path / "whole"), 0)
    takes = time.perf_counter() - started
    whole = read_tree(tmp_path / "whole")

    moments = random.Random(7)
    checkpoint, out = tmp_path / "run.safetensors", tmp_path / "out"
    killed = runs = 0
    found = set()
    while killed < KILLS:
        runs += 1
        assert runs < 4 * KILLS, "the run ends before it can be killed"
        child = in_a_child(checkpoint, out)
        if moments.random() < 0.8:  # most of the times, once it has got further than the one before
            wait_for_a_checkpoint(child, checkpoint)
        time.sleep(moments.uniform(0.0, 0.3) * takes)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
            found.add(position(checkpoint))
        if out.is_file():  # it had come to its end: compare, and begin anew
            same(read_tree(out), whole)
            for path in (out, checkpoint, previous_of(checkpoint)):
                path.unlink(missing_ok=True)
    os.waitpid(in_a_child(checkpoint, out), 0)
    same(read_tree(out), whole)
    assert len(found) >= 8  # the moments were not all alike


def wait_for_a_checkpoint(child: int, checkpoint: Path) -> None:
    """Until the child writes one, or ends."""

    def last() -> int:
        return checkpoint.stat().st_mtime_ns if checkpoint.is_file() else 0

    before = last()
    while last() == before and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.002)


def position(checkpoint: Path) -> tuple[int, int]:
    """The start and the step at which a killed run had got to, in its last checkpoint."""
    if not checkpoint.is_file():
        return 0, 0
    tree = read_tree(checkpoint)
    return (tree["running"]["starts"]["index"] if tree["kind"] == "run" else 2), len(tree["history"])


def same(one: dict, other: dict) -> None:
    assert one["words"] == other["words"]
    for name in ("history", "validation"):
        assert torch.equal(one[name], other[name]), name
    for kind in ("values", "buffers"):
        assert one[kind].keys() == other[kind].keys()
        for name in one[kind]:
            assert torch.equal(one[kind][name], other[kind][name]), name
