"""What latents are used for: KLs, active units, collapse in words, the aggregated posterior."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from pyro_vae.diagnostics import (
    active_units,
    code_distances,
    elbo_surgery,
    latent_table,
    plane_of,
    posterior_collapse,
    worth_of_code,
)


def table(*means: float, rows: int = 500):
    """KLs around these means: exponential, so that they are positive."""
    rng = np.random.default_rng(0)
    return latent_table(rng.exponential(means, size=(rows, len(means))), [f"z[{i}]" for i in range(len(means))])


def test_the_table_has_means_errors_and_shares() -> None:
    kl = np.array([[1.0, 0.2], [3.0, 0.4]])
    found = latent_table(kl, ["a", "b"])
    assert found["kl"].tolist() == pytest.approx([2.0, 0.3])
    assert found["kl_se"].tolist() == pytest.approx([1.0, 0.1])
    assert found["share"].tolist() == pytest.approx([2 / 2.3, 0.3 / 2.3])


def test_a_latent_has_collapsed_if_nearly_every_row_is_below_a_hundredth_of_a_nat() -> None:
    kl = np.full((1000, 3), 0.005)
    kl[:10, 1], kl[:11, 2] = 5.0, 5.0  # one row in a hundred is allowed
    assert latent_table(kl, list("abc"))["collapsed"].tolist() == [True, True, False]


def test_active_units_are_those_whose_mean_moves_more_than_its_noise() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(5000, 3)) * [1.0, 0.2, 0.05]
    assert active_units(means).active.tolist() == [True, True, False]
    noisy = means + 0.3 * rng.normal(size=means.shape)
    found = active_units(noisy, np.full(3, 0.09))
    assert found.active.tolist() == [True, True, False]  # the third: .0025 with an sd of .002 by the noise
    assert found.variance == pytest.approx([1, 0.04, 0.0025], abs=0.06)
    assert found.count == 2


@pytest.mark.parametrize(
    ("kls", "worth", "level", "said"),
    [
        ((1.0, 2.0), (5.0, 0.2), "none", "All 2 latents are used: 3"),
        ((1.0, 0.0001), (5.0, 0.2), "some", r"1 of 2 latents is not used \(z\[1\]\)"),
        ((0.0001, 0.0001), (0.0, 0.1), "whole", r"Posterior collapse: the latents carry 0.000 nats .* \(2 of 2 are"),
        ((0.02, 0.02), (0.0, 0.1), "whole", "Posterior collapse"),
        ((1.0, 1.0), (0.1, 0.2), "ignored", "Posterior collapse: .* the decoder ignores them"),
    ],
)
def test_collapse_is_said_in_words(kls, worth, level, said) -> None:
    found = posterior_collapse(table(*kls), *worth)
    assert found.level == level
    assert found.collapsed is (level in ("whole", "ignored"))
    assert re.search(said, found.reason)
    assert ("free bits" in found.advice) is (level not in ("none",))


def test_many_collapsed_latents_are_counted_and_some_of_them_named() -> None:
    found = posterior_collapse(table(1.0, *[0.0001] * 9), 3.0, 0.1)
    assert "9 of 10 latents are not used (z[1], z[2], z[3], z[4], z[5], z[6] and 3 more)" in found.reason
    assert len(found.components) == 9
    assert found.share == pytest.approx(0.0009, abs=3e-4)


def test_the_worth_of_a_code_is_the_paired_fall() -> None:
    own, other = np.array([-1.0, -2.0, -3.0]), np.array([-2.0, -4.0, -4.5])
    assert worth_of_code(own, other) == pytest.approx((1.5, np.std([1, 2, 1.5], ddof=1) / np.sqrt(3)))


def gaussian_codes(rows: int, spread: float, sd: float):
    """One dimension: q(z | x) = N(m, sd^2), m ~ N(0, spread^2); log q of a draw under every row."""
    rng = np.random.default_rng(0)
    means = spread * rng.normal(size=rows)
    z = means + sd * rng.normal(size=rows)
    return stats.norm(means[None], sd).logpdf(z[:, None]), stats.norm(means, sd).logpdf(z), stats.norm.logpdf(z)


def test_the_surgery_of_normal_codes_is_exact() -> None:
    """q(z) = N(0, spread^2 + sd^2), up to the finite number of rows; the information is half the log of the ratio."""
    spread, sd = 1.5, 0.5
    found = elbo_surgery(*gaussian_codes(2000, spread, sd))
    total = spread**2 + sd**2
    assert abs(found.information - 0.5 * np.log(total / sd**2)) < 4 * found.information_error + 0.02
    assert abs(found.marginal - 0.5 * (total - 1 - np.log(total))) < 4 * found.marginal_error + 0.02
    assert not found.saturated


def test_rows_that_do_not_overlap_saturate_the_information() -> None:
    found = elbo_surgery(*gaussian_codes(50, 100.0, 0.01))
    assert found.information == pytest.approx(np.log(50), abs=0.05)
    assert found.saturated


def test_the_parts_add_up_to_the_kl() -> None:
    every, own, prior = gaussian_codes(300, 1.0, 0.4)
    found = elbo_surgery(every, own, prior)
    assert found.information + found.marginal == pytest.approx((own - prior).mean())


def test_distances_are_those_of_scipy_and_know_what_chance_does() -> None:
    rng = np.random.default_rng(0)
    codes, prior = rng.normal(size=(400, 3)) * [1, 2, 1] + [0, 0, 0.7], rng.normal(size=(4000, 3))
    found = code_distances(codes, prior)
    exact = [stats.wasserstein_distance(codes[:, d], prior[:, d]) / prior[:, d].std() for d in range(3)]
    assert found.distance == pytest.approx(exact, abs=0.02)
    assert found.differs.tolist() == [False, True, True]
    # Two samples of the prior are 40 times drawn: the mean distance of 400 from 3600 normals is about .07.
    assert found.chance == pytest.approx([0.07] * 3, abs=0.03)


def test_the_plane_is_the_two_dimensions_with_most_kl_or_the_principal_components() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(200, 4)) * [0.1, 1.0, 2.0, 0.1]
    names = [f"z[{i}]" for i in range(4)]
    chosen = plane_of(means, names, [0.1, 2.0, 1.0, 0.1])
    assert chosen.axes == ("z[1]", "z[2]")
    assert "the two with most KL: 94 %" in chosen.how
    np.testing.assert_array_equal(chosen.points, means[:, 1:3])
    spread = plane_of(means, names, [1.0] * 4)
    assert "principal components" in spread.how
    assert spread.points.var(0)[0] == pytest.approx(means[:, 2].var(), rel=0.05)
    assert plane_of(means[:, :2], names[:2]).how == "The two dimensions that there are."
    assert plane_of(means[:, :1], names[:1]).points.shape == (200, 2)
