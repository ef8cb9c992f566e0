"""Two processes make the fit that one makes with batches twice as large, and resume together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyro
import pytest
import torch

from pyro_vae.errors import OptionError
from pyro_vae.training.storage import read_tree
from tests.training.spread import outcome, spread_fit

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def two_processes(out, **options):
    """What each of two processes found."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "tests.training.spread", str(out), json.dumps(options)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [read_tree(f"{out}.{rank}") for rank in range(2)]


def same(one, other):
    assert one["reason"] == other["reason"]
    assert one["bound"] == other["bound"]
    assert one["validation"] == other["validation"]
    assert torch.equal(one["history"], other["history"])
    for name, value in one["values"].items():
        assert torch.equal(value, other["values"][name]), name


@pytest.mark.parametrize("options", [{"epochs": 10}, {"epochs": 10, "optimizer": "sgd", "learning_rate": 0.001}])
def test_two_processes_are_one_with_the_doubled_batch(tmp_path, options):
    first, second = two_processes(tmp_path / "two", batch_size=10, **options)
    same(first, second)
    alone = outcome(spread_fit(20, **options))
    assert alone["history"].shape == first["history"].shape == (3, 30)
    torch.testing.assert_close(first["history"], alone["history"], rtol=1e-9, atol=0.0)
    for name, value in alone["values"].items():
        torch.testing.assert_close(first["values"][name], value, rtol=1e-9, atol=1e-9)
    assert first["bound"] == pytest.approx(alone["bound"], rel=1e-9)


def test_two_processes_resume_to_the_bit_and_only_as_two(tmp_path):
    options = {"batch_size": 7, "validate": True, "schedule": "constant"}
    whole, other = two_processes(tmp_path / "whole", steps=40, **options)
    same(whole, other)
    path = str(tmp_path / "run.safetensors")
    # A run that ends early leaves, beside its last checkpoint, the one on the way to it.
    two_processes(tmp_path / "part", steps=40, checkpoint=path, checkpoint_every=17, **options)
    Path(path).unlink()
    first, second = two_processes(
        tmp_path / "again", steps=40, checkpoint=path, checkpoint_every=17, resume=True, **options
    )
    same(whole, first)
    same(whole, second)
    Path(path).unlink()
    pyro.clear_param_store()
    with (
        pytest.warns(UserWarning, match="Going on from the checkpoint before it"),
        pytest.raises(OptionError, match="the saved run has processes=2, this call processes=1"),
    ):
        spread_fit(7, steps=40, checkpoint=path, resume=True, schedule="constant")
