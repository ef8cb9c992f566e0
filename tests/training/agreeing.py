"""Fits that are run twice, eagerly and compiled, and compared."""

from __future__ import annotations

import numpy as np
import pyro
import torch

from pyro_vae import fit
from tests.training.programs import Y, guide, model

OPTIONS = {"stop": None, "seed": 0, "num_particles": 4}


def fitted(make, **options):
    pyro.clear_param_store()
    program, its_guide, data = make()
    if torch.get_default_dtype() == torch.float64:
        data = tuple(value.double() for value in data)
    return fit(program, its_guide, data, **{**OPTIONS, **options})


def both(make, **options):
    """The eager and the compiled fit from the same seed; a compiled one that falls back is an error (it warns)."""
    return fitted(make, **options), fitted(make, compile=True, **options)


def close(one, other, tolerance):
    assert len(one.history.bound) == len(other.history.bound)
    for name in ("bound", "elbo", "gradient_norm", "learning_rate"):
        wanted, got = getattr(one.history, name), getattr(other.history, name)
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=name)
    for name, value in one.values.items():
        torch.testing.assert_close(other.values[name], value, rtol=tolerance, atol=tolerance, msg=name)


def simple():
    return model, guide, (Y,)


def same(one, other):
    """To the bit."""
    assert (one.history.bound == other.history.bound).all()
    assert all(torch.equal(value, other.values[name]) for name, value in one.values.items())
