"""What studies find: NUTS is calibrated."""

from __future__ import annotations

import pytest

import pyro_vae as pv
from tests.studies.calibration import models
from tests.studies.calibration.models import Y

pytestmark = pytest.mark.slow
NUTS = {"draws": 300, "warmup": 300, "seed": 0, "progress": False}


@pytest.mark.parametrize("model", [models.conjugate, models.scales], ids=lambda model: model.__name__)
def test_nuts_is_calibrated(model) -> None:
    # One study in 20 would be called wrong by chance; the seed is fixed.
    found = pv.calibrate(model, "nuts", Y, simulations=60, **NUTS)
    assert found.calibrated, found.verdict
    assert "log-likelihood" in found.pits
