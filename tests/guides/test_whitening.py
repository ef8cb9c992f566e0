"""Coordinates in which an approximation is a standard normal: what they are, and that values come back from them."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import transform_to

from pyro_vae.guides.whitening import Placed, Stretched

CENTRE = torch.tensor([1.0, -2.0], dtype=torch.float64)
SPREAD = torch.tensor([0.5, 3.0], dtype=torch.float64)
TRIL = torch.tensor([[2.0, 0.0], [-1.0, 0.5]], dtype=torch.float64)
U = torch.tensor([0.3, -0.7], dtype=torch.float64)
LOWER = torch.tensor([[0.3, 0.0], [1.1, -0.7]], dtype=torch.float64)

CASES = [
    (Placed(CENTRE, SPREAD), U, CENTRE + SPREAD * U),
    (Placed(CENTRE, TRIL), U, CENTRE + TRIL @ U),
    (Stretched(SPREAD), U, SPREAD * U.exp()),
    (
        Stretched(TRIL, cholesky=True),
        LOWER,
        TRIL @ torch.tensor([[0.3, 0.0], [1.1, -0.7]], dtype=torch.float64).tril(-1) + TRIL @ U.exp().diag(),
    ),
]


@pytest.mark.parametrize(("constraint", "u", "value"), CASES, ids=["means", "mean", "scales", "cholesky factor"])
def test_values_are_those_of_the_formula_and_come_back(constraint, u, value):
    transform = transform_to(constraint)
    torch.testing.assert_close(transform(u), value)
    torch.testing.assert_close(transform.inv(value), u)
    assert bool(constraint.check(value).all())


@pytest.mark.parametrize("constraint", [case[0] for case in CASES])
def test_the_approximation_itself_is_where_u_is_zero(constraint):
    there = torch.zeros(2, 2, dtype=torch.float64) if getattr(constraint, "cholesky", False) else torch.zeros_like(U)
    wanted = constraint.centre if isinstance(constraint, Placed) else constraint.spread
    torch.testing.assert_close(transform_to(constraint)(there), wanted)
