"""Functions with written-out derivatives: of large tensors they are taken block by block, with the same results."""

from __future__ import annotations

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from pyro_vae.distributions import Concrete, Dirichlet, Gamma, LogGamma
from pyro_vae.distributions import closed_gradient as closed
from pyro_vae.distributions.closed_gradient import in_blocks, with_derivatives

ROWS, K = 600, 500  # more numbers than two blocks have


def step(make, *leaves: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(0)
    law = make(*leaves)
    x = law.rsample()
    log_prob = law.log_prob(x)
    weight = torch.linspace(0.5, 2, log_prob.shape[0]).view(-1, *(1,) * (log_prob.dim() - 1))
    return [x, log_prob, *torch.autograd.grad((log_prob * weight).sum(), leaves)]


@pytest.mark.parametrize(
    ("make", "count"),
    [(Gamma, 2), (LogGamma, 2), (Dirichlet, 1), (lambda logits: Concrete(0.7, logits=logits.log()), 1)],
    ids=["Gamma", "LogGamma", "Dirichlet", "Concrete"],
)
def test_blocks_change_nothing(make, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    leaves = [(torch.rand(ROWS, K) + 0.3).requires_grad_() for _ in range(count)]
    calls = []
    monkeypatch.setattr(closed, "_is_traced", lambda: calls.append(1) or False)
    blocks = step(make, *leaves)
    assert calls  # it came as far as to split
    monkeypatch.setattr(closed, "_BLOCK", ROWS * K)
    for ours, whole in zip(blocks, step(make, *leaves), strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-6, atol=1e-6)


def test_a_parameter_that_broadcasts_is_not_taken_for_one_of_rows() -> None:
    x, scale = torch.rand(400, 400), torch.rand(400, requires_grad=True)
    value = with_derivatives(lambda x, scale: x * scale, lambda needed, x, scale: (scale, x), x, scale)
    torch.testing.assert_close(value, x * scale)
    torch.testing.assert_close(torch.autograd.grad(value.sum(), scale)[0], x.sum(0))


def test_a_trace_has_each_step_once() -> None:
    x = torch.rand(ROWS, K)
    with torch.no_grad():
        traced = make_fx(lambda x: in_blocks(torch.exp, x))(x)
    assert sum("exp" in str(node.target) for node in traced.graph.nodes) == 1
    torch.testing.assert_close(traced(x), x.exp())
