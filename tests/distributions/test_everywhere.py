"""Parameters over twelve orders of magnitude, and points out to the last representable float, as Hypothesis finds them.

Hypothesis is run derandomised: the same cases each time.
"""

from __future__ import annotations

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import kl_divergence

from pyro_vae.distributions import Beta, Kumaraswamy, LogKumaraswamy
from tests.distributions.table import slope
from tests.distributions.table_rows import LAST, LEAST, ROWS, Row

SINGLE = torch.finfo(torch.float32).max


def single(value: float) -> float:
    """The nearest float32."""
    return torch.tensor(value, dtype=torch.float32).item()


positive = st.floats(-6, 6).map(lambda power: single(10.0**power))
near_real = st.floats(-1e6, 1e6).map(single)
real = st.one_of(st.floats(-100, 100).map(single), st.floats(-1e38, 1e38).map(single))
unit = st.one_of(st.floats(LEAST, LAST).map(single), st.integers(1, 2**17).map(lambda count: 1 - count * 2.0**-24))
POINTS = {
    "Kumaraswamy": unit,
    "LogKumaraswamy": real,
    "Gumbel": real,
    "GumbelMin": real,
    "Gamma": st.floats(-44, 38).map(lambda power: single(10.0**power)),
    "LogGamma": st.one_of(st.floats(-100, 80).map(single), st.floats(-1e38, 0).map(single)),
    "Beta": unit,
    "LogitBeta": real,
}
FIRST = {"Gumbel": near_real, "GumbelMin": near_real}
cases = pytest.mark.parametrize("row", [row for row in ROWS if row.name in POINTS], ids=lambda row: row.name)


@cases
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_log_prob_and_its_gradients_are_exact_wherever_they_are_numbers(row: Row, data: st.DataObject) -> None:
    point = data.draw(POINTS[row.name])
    parameters = (data.draw(FIRST.get(row.name, positive)), data.draw(positive))
    live = [torch.tensor(value, requires_grad=True) for value in (point, *parameters)]
    log_prob = row.ours(*live[1:]).log_prob(live[0])
    gradients = torch.autograd.grad(log_prob, live)
    with mpmath.workdps(120):
        exact = [mpmath.mpf(value.item()) for value in live]
        truth = row.log_density(*exact)
        if abs(truth) > SINGLE:
            return
        assert abs(log_prob.item() - truth) <= 1e-5 * max(1, abs(truth))
        for number, gradient in enumerate(gradients):
            derivative = slope(row.log_density, exact, number)
            if abs(derivative) < SINGLE:
                # A sum of terms that may cancel, each of them right to single precision.
                scale = abs(derivative) + abs(truth) / max(abs(exact[number]), mpmath.mpf(10) ** -30)
                assert abs(gradient.item() - derivative) <= 1e-4 * scale + 1e-30


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(a=positive, b=positive, alpha=positive, beta=positive)
def test_divergences_are_finite_positive_and_the_same_in_both_precisions(a, b, alpha, beta):
    for q in (Kumaraswamy, Beta):
        values = {}
        for dtype in (torch.float32, torch.float64):
            live = [torch.tensor(value, dtype=dtype, requires_grad=True) for value in (a, b, alpha, beta)]
            kl = kl_divergence(Kumaraswamy(*live[:2]), q(*live[2:]))
            values[dtype] = kl.item()
            gradients = torch.autograd.grad(kl, live)
            if dtype == torch.float64:
                assert all(torch.isfinite(gradient) for gradient in gradients)
        assert values[torch.float64] >= -1e-10 * max(1, 1 / b)
        assert values[torch.float32] == pytest.approx(values[torch.float64], rel=1e-5, abs=1e-5 * max(1, beta * 1e-3))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(a=positive, b=positive, noise=st.floats(1e-16, 36))
def test_every_draw_is_inside_and_its_logit_and_gradients_finite(a, b, noise):
    a, b = (torch.tensor(value, requires_grad=True) for value in (a, b))
    x = Kumaraswamy(a, b).sample_from_noise(torch.tensor(noise))
    assert 0 < x < 1
    assert all(torch.isfinite(gradient) for gradient in torch.autograd.grad(x, (a, b)))
    v = LogKumaraswamy(a, b).sample_from_noise(torch.tensor(noise))
    assert torch.isfinite(v)
    assert torch.isfinite(LogKumaraswamy(a, b).log_prob(v))
    # The density on the logit scale and on the plain one agree where both hold the point.
    if 1e-30 < x < 1 - 1e-3:
        logit = LogKumaraswamy(a, b).log_prob(x.double().logit())
        jacobian = x.double().log() + torch.log1p(-x.double())
        assert logit.item() == pytest.approx((Kumaraswamy(a, b).log_prob(x) + jacobian).item(), rel=1e-4, abs=1e-4)
