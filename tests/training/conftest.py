"""Fixtures of the tests of fits."""

from __future__ import annotations

import pytest
import torch

from pyro_vae.compiling import building
from pyro_vae.training import compiled, evaluation, step


@pytest.fixture
def cheap_bounds(monkeypatch):
    """Final bounds from few draws, for tests that only compare one run with another."""
    monkeypatch.setattr(evaluation, "DRAWS", 256)
    monkeypatch.setattr(evaluation, "EVALUATIONS", 4)


@pytest.fixture
def interpreted(monkeypatch):
    """Written steps are run as they are."""
    monkeypatch.setenv("PYRO_VAE_CACHE", "")
    monkeypatch.setattr(building, "inductor", lambda graph, inputs, **_: lambda arguments: graph(*arguments))


@pytest.fixture
def unchecked(monkeypatch):
    """No step is taken both ways: all but the first are compiled."""
    monkeypatch.setattr(compiled, "CHECKED", ())


@pytest.fixture
def eager_steps(monkeypatch):
    """The number of eager steps, counted."""
    original, taken = step.EagerStepper._step, [0]

    def counting(self, *args):
        taken[0] += 1
        return original(self, *args)

    monkeypatch.setattr(step.EagerStepper, "_step", counting)
    return taken


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
