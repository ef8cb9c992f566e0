"""What is particular to the normals: the divergence between a full and a diagonal one."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Laplace, kl_divergence
from torch.distributions import MultivariateNormal as TorchMultivariateNormal

from pyro_vae.distributions import MultivariateNormal, Normal


def full_and_diagonal(*batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    tril = torch.randn(*batch, 3, 3, dtype=torch.float64).tril(-1) + torch.eye(3, dtype=torch.float64) * 0.7
    loc, other, log_scale = torch.randn(3, *batch, 3, dtype=torch.float64)
    return loc, tril, other, log_scale.exp()


@pytest.mark.parametrize("family", [MultivariateNormal, TorchMultivariateNormal])
@pytest.mark.parametrize("batch", [(), (4, 2)])
def test_kl_between_a_full_and_a_diagonal_normal_is_that_of_two_full_ones(family, batch: tuple[int, ...]) -> None:
    loc, tril, other, scale = full_and_diagonal(*batch)
    full, diagonal = family(loc, scale_tril=tril), Independent(Normal(other, scale), 1)
    as_full = TorchMultivariateNormal(other, scale_tril=scale.diag_embed())
    there, back = kl_divergence(full, diagonal), kl_divergence(diagonal, full)
    assert there.shape == back.shape == batch
    torch.testing.assert_close(there, kl_divergence(TorchMultivariateNormal(loc, scale_tril=tril), as_full))
    torch.testing.assert_close(back, kl_divergence(as_full, TorchMultivariateNormal(loc, scale_tril=tril)))


def test_one_factor_broadcasts_against_a_batch_of_diagonals() -> None:
    loc, tril, _, _ = full_and_diagonal()
    _, _, other, scale = full_and_diagonal(5)
    kl = kl_divergence(MultivariateNormal(loc, scale_tril=tril), Independent(Normal(other, scale), 1))
    one = kl_divergence(MultivariateNormal(loc, scale_tril=tril), Independent(Normal(other[2], scale[2]), 1))
    torch.testing.assert_close(kl[2], one)


@pytest.mark.parametrize(
    "other", [Independent(Laplace(torch.zeros(3), torch.ones(3)), 1), Independent(Normal(torch.zeros(2, 3), 1.0), 2)]
)
def test_kl_to_what_is_not_a_row_of_normals_is_refused(other: Independent) -> None:
    with pytest.raises(NotImplementedError, match=r"there is one for Normal\(\.\.\.\)\.to_event\(1\)"):
        kl_divergence(MultivariateNormal(torch.zeros(3), torch.eye(3)), other)
