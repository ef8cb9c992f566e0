"""Fixtures of the tests of fits."""

from __future__ import annotations

import pytest

from pyro_vae.training import evaluation


@pytest.fixture
def cheap_bounds(monkeypatch):
    """Final bounds from few draws, for tests that only compare one run with another."""
    monkeypatch.setattr(evaluation, "DRAWS", 256)
    monkeypatch.setattr(evaluation, "EVALUATIONS", 4)
