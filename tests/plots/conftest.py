"""Draws that the tests of the figures share; building them takes longer than drawing them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.plots import trees


@pytest.fixture(scope="session")
def schools() -> SimpleNamespace:
    """Eight schools: ``baseline`` and ``posteriors`` of a mean-field and a full-rank guide."""
    return trees.eight_schools()
