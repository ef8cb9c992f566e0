"""Our gradients against those of Pyro's objectives, from the same draws."""

from __future__ import annotations

import pyro
import pytest
import torch

from pyro_vae.elbo import TraceELBO
from tests.pairs import gradients


def same_gradients(ours, theirs, model, guide, args, tolerance=1e-6):
    """Loss and gradients of two objectives agree from the same seed."""
    results = []
    for objective in (ours, theirs):
        objective.loss(model, guide, *args)  # lazy parameters, shapes
        gradients()
        pyro.set_rng_seed(5)
        loss = objective.differentiable_loss(model, guide, *args)
        loss.backward()
        results.append((loss.item(), gradients()))
    (loss, found), (expected_loss, expected) = results
    assert loss == pytest.approx(expected_loss, rel=1e-5, abs=1e-5)
    assert found.keys() == expected.keys()
    assert found
    for name in expected:
        scale = 1 + expected[name].abs().max().item()
        torch.testing.assert_close(
            found[name], expected[name], rtol=1e-5, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


def check_against(pyros, estimator, pair, particles):
    """In double precision, from the same draws, the gradient of one of Pyro's objectives."""
    torch.set_default_dtype(torch.float64)
    try:
        model, guide, args = pair.make()
        args = tuple(arg.double() for arg in args)
        ours = TraceELBO(estimator, num_particles=particles)
        nesting = ours.plan(model, guide, *args).max_plate_nesting
        theirs = pyros(num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=nesting)
        same_gradients(ours, theirs, model, guide, args)
    finally:
        torch.set_default_dtype(torch.float32)
