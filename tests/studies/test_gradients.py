"""Gradients measured on models where their mean and variance are known, and what a person can get wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoDelta, AutoNormal

import pyro_vae as pv
from pyro_vae.estimators import Claims, Estimate
from pyro_vae.particles import Particles

REPETITIONS = 600
SILENT = 1e-9  # a weight for the latent's own terms: what is left of the ELBO is E f
X = torch.tensor([0.5, -0.3, 1.2])


def expectation(q: Callable, f: Callable, **params: float) -> tuple[Callable, Callable]:
    """A pair whose ELBO is the sum over rows of E f under q, every row with parameters of its own."""

    def guide() -> None:
        live = {name: pyro.param(name, torch.full((REPETITIONS,), value).double()) for name, value in params.items()}
        with pyro.plate("rows", REPETITIONS), pyro.poutine.scale(scale=SILENT):
            pyro.sample("z", q(**live))

    def model() -> None:
        start = {name: torch.tensor(value).double() for name, value in params.items()}
        with pyro.plate("rows", REPETITIONS):
            with pyro.poutine.scale(scale=SILENT):
                z = pyro.sample("z", q(**start))
            pyro.factor("f", f(z))

    return model, guide


def check_variances(study: pv.GradientStudy, exact: dict[tuple[str, str], float]) -> None:
    """The mean over rows of each row's measured variance, within 5 standard errors by their spread: 6e-7 a number."""
    measured = study.parameters()["variance"]
    for (estimator, name), variance in exact.items():
        rows = measured["start", "guide", estimator].filter(regex=rf"^{name}\[")
        assert len(rows) == REPETITIONS
        error = rows.std() / REPETITIONS**0.5 + 1e-9
        assert abs(rows.mean() - variance) < 5 * error, (estimator, name, rows.mean(), variance, error)


@pytest.mark.slow
def test_variances_on_the_gaussian_measure_are_the_closed_forms() -> None:
    """f = (z - k)^2 under N(mu, sigma^2), one draw (Mohamed, Rosca, Figurnov, Mnih 2020). Nothing is called biased
    (1 %)."""
    delta, sigma = 0.7, 1.3
    pair = expectation(dist.Normal, lambda z: (z - 0.2) ** 2, loc=0.2 + delta, scale=sigma)
    names = ["score-function", "reparameterized", "measure-valued"]
    study = pv.gradients(*pair, estimators=names, num_particles=1, draws=20, at="start", seed=0, progress=False)
    d, s = delta**2, sigma**2
    check_variances(
        study,
        {
            ("score-function", "loc"): d**2 / s + 14 * d + 15 * s,
            ("score-function", "scale"): 2 * d**2 / s + 60 * d + 74 * s,
            ("reparameterized", "loc"): 4 * s,
            ("reparameterized", "scale"): 4 * d + 8 * s,
            ("measure-valued", "loc"): (16 / np.pi - 4) * d,
            ("measure-valued", "scale"): 4 * d + 4 * s,
        },
    )
    table = study.table().loc["start", "guide"]
    assert set(table["biased"]) == {"no"}
    means = study.parameters()["mean"]["start", "guide", "measure-valued"]
    assert means.filter(regex="loc").mean() == pytest.approx(2 * delta, abs=0.1)  # uphill: an ELBO is climbed
    assert table.loc["reparameterized", "variance"] == pytest.approx(REPETITIONS * (12 * s + 4 * d), rel=0.15)
    assert table["evaluations"].to_dict()["score-function"] == 1  # one draw; measure-valued: two each for loc and scale
    assert table["evaluations"].to_dict()["measure-valued"] == 5


def test_variances_of_one_bernoulli_are_the_closed_forms_and_its_gradient_is_exact() -> None:
    """ARM and DisARM (Dong, Mnih, Tucker 2020), the score function, leave-one-out with 2 draws."""
    p, ones, zeros = 1 / (1 + np.exp(-0.6)), 1.5, -0.4
    pair = expectation(dist.Bernoulli, lambda z: ones * z + zeros * (1 - z), logits=0.6)
    estimators = {
        "score": pv.ScoreFunction(),
        "arm": pv.ARM(),
        "disarm": pv.DisARM(),
        "loo": pv.TraceELBO(pv.ScoreFunction("leave-one-out"), 2),
    }
    study = pv.gradients(*pair, estimators=estimators, num_particles=1, draws=20, at="start", seed=0, progress=False)
    q, m, square = 1 - p, min(p, 1 - p), (ones - zeros) ** 2
    check_variances(
        study,
        {
            ("score", "logits"): p * q * (ones * q + zeros * p) ** 2,
            ("arm", "logits"): 2 / 3 * square * (1 / 8 - (1 / 2 - m) ** 3) - square * p**2 * q**2,
            ("disarm", "logits"): square * m * (1 - m) ** 2 * (1 - 2 * m) / 2,
            ("loo", "logits"): square * p * q * (1 - 2 * p * q) / 2,
        },
    )
    table, entries = study.table().loc["start", "guide"], study.parameters()
    assert set(table["reference"]) == {"exact"}
    assert set(table["biased"]) == {"no"}
    exact = entries["mean"] - entries["bias"]
    assert np.allclose(exact, (ones - zeros) * p * q, atol=1e-6)


def model(x: torch.Tensor) -> None:
    theta = pyro.param("theta", torch.tensor(0.4))
    z = pyro.sample("z", dist.Normal(theta, 1.0))
    with pyro.plate("rows", len(x)):
        w = pyro.sample("w", dist.Normal(z, 1.0))
        pyro.sample("x", dist.Normal(w, 0.8), obs=x)


def guide(x: torch.Tensor) -> None:
    loc = pyro.param("loc", torch.tensor(0.1))
    pyro.sample("z", dist.Normal(loc, pyro.param("scale", torch.tensor(0.7), constraint=dist.constraints.positive)))
    with pyro.plate("rows", len(x)):
        pyro.sample("w", dist.Normal(pyro.param("locs", torch.zeros(3)), 0.6))


@dataclass(frozen=True)
class Shortened(pv.Reparameterized):
    """Wrong on purpose: the gradient of the guide is a fifth too short, and it claims to be unbiased."""

    def __call__(self, particles: Particles, control: torch.nn.Module | None = None) -> Estimate:
        """The wrong estimate."""
        estimate = super().__call__(particles, control)
        return replace(estimate, guide_loss=0.8 * estimate.guide_loss)


@dataclass(frozen=True)
class Admitted(Shortened):
    """The same, and says so."""

    claims = Claims(unbiased=False)


@pytest.fixture(scope="module")
def study() -> pv.GradientStudy:
    estimators = {
        "plain": pv.Reparameterized(),
        "stuck": pv.StickingTheLanding(),
        "short": Shortened(),
        "admitted": Admitted(),
        "dreg": pv.DReG(),
        "iwae": pv.IWAE(),
        "renyi": pv.Renyi(0.5),
        "wake": pv.WakeWake(),
        "cubo": pv.CUBO(),
    }
    options = {"estimators": estimators, "num_particles": 4, "draws": 30, "at": "start", "seed": 0, "progress": False}
    with pyro.get_param_store().scope():
        return pv.gradients(model, guide, X, **options)


@pytest.mark.slow
def test_a_biased_estimator_is_found_and_an_unbiased_one_is_not(study: pv.GradientStudy) -> None:
    """Guide and model: 1 % for the unbiased ones together."""
    start = study.table().loc["start"]
    assert start.loc[("guide", "short"), "biased"] == "yes"
    assert start.loc[("guide", "short"), "gradients"] == 120  # it was looked at again
    assert "short is biased at the start" in study.recommendation
    assert "ELBO: short" not in study.recommendation
    table = study.table().reset_index().set_index("estimator")
    for name in ("plain", "stuck", "dreg", "iwae"):
        assert set(table.loc[name, "biased"]) == {"no"}, name
    assert set(table.loc["admitted", "biased"]) == {"by design"}
    assert start.loc[("guide", "admitted"), "z"] != 0  # and by how much is measured all the same


def test_means_are_held_against_their_own_objective_alone(study: pv.GradientStudy) -> None:
    table = study.table().loc["start"]
    guides, models = table.loc["guide"], table.loc["model"]
    assert guides["objective"].to_dict() == {
        "plain": "ELBO",
        "stuck": "ELBO",
        "short": "ELBO",
        "admitted": "ELBO",
        "dreg": "IWAE (K=4)",
        "iwae": "IWAE (K=4)",
        "renyi": "Rényi 0.5 (K=4)",
        "wake": "wake (K=4)",
        "cubo": "CUBO 2 (K=4)",
    }
    assert guides.loc["renyi", "biased"] == "unknown"  # nothing else follows it
    assert guides.loc[["wake", "cubo"], "biased"].tolist() == ["by design"] * 2
    assert guides.loc[["wake", "cubo", "renyi"], "bias"].isna().all()
    # the model's parameters follow the importance-weighted bound in these, and are held against it
    assert models.loc[["wake", "cubo"], "objective"].tolist() == ["IWAE (K=4)"] * 2
    assert models.loc[["wake", "cubo"], "biased"].tolist() == ["no"] * 2
    assert "of dreg" not in guides.loc["dreg", "reference"]  # never its own
    assert guides.loc["iwae", "reference"] == "120 gradients of dreg, K = 4"  # the least noisy of the others
    assert "reparameterized" not in guides.loc["plain", "reference"]


def test_guide_and_model_are_kept_apart_and_every_parameter_is_named(study: pv.GradientStudy) -> None:
    assert study.entries == {
        "guide": ("loc", "scale", "locs[0]", "locs[1]", "locs[2]"),
        "model": ("theta",),
    }
    parameters = study.parameters()
    assert parameters.index.names == ["at", "of", "estimator", "parameter"]
    total = parameters["variance"].groupby(["at", "of", "estimator"]).sum()
    pd.testing.assert_series_equal(total, study.table()["variance"].sort_index(), check_names=False)
    # E of the derivative by theta is loc - theta, its variance scale^2 / K: 30 draws, 3 standard errors
    plain = parameters.loc[("start", "model", "plain", "theta")]
    assert plain["variance"] == pytest.approx(0.7**2 / 4, rel=0.75)
    assert abs(plain["mean"] - (0.1 - 0.4)) < 5 * plain["mean_se"]


def test_the_cost_is_counted_and_the_figure_of_merit_is_the_product(study: pv.GradientStudy) -> None:
    table = study.table()
    counted = table["evaluations"]["start", "guide"].to_dict()
    assert (counted["plain"], counted["iwae"], counted["dreg"]) == (4, 4, 8)
    assert (table["seconds_min"] > 0).all()
    assert (table["seconds"] >= table["seconds_min"]).all()
    assert np.allclose(table["variance_seconds"], table["variance"] * table["seconds"])
    assert np.allclose(table["variance_evaluations"], table["variance"] * table["evaluations"])


def test_a_study_is_saved_as_tables_words_and_figures(study: pv.GradientStudy, tmp_path: Path) -> None:
    folder = study.save(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {
        "gradients.csv",
        "parameters.csv",
        "recommendation.txt",
        "gradients_guide.png",
        "gradients_model.png",
    }
    read = pd.read_csv(folder / "gradients.csv", index_col=[0, 1, 2], keep_default_na=True)
    pd.testing.assert_series_equal(read["variance"], study.table()["variance"])
    assert study.recommendation in (folder / "recommendation.txt").read_text(encoding="utf-8")
    study.save(folder)  # in the place of an earlier one
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(pv.OutputError, match="mine"):
        study.save(tmp_path / "mine")


def test_the_seed_repeats_it_and_other_estimators_change_nothing() -> None:
    pyro.set_rng_seed(5)
    options = {"num_particles": 4, "draws": 20, "at": "start", "seed": 3, "progress": False}
    both = pv.gradients(model, guide, X, estimators=["score-function", "reparameterized"], **options)
    torch.rand(7)
    alone = pv.gradients(model, guide, X, estimators="reparameterized", **options)
    of_both = both.parameters().xs("reparameterized", level="estimator")
    of_one = alone.parameters().xs("reparameterized", level="estimator")
    pd.testing.assert_frame_equal(of_both[["mean", "variance"]], of_one[["mean", "variance"]])


def test_nothing_is_left_changed() -> None:
    auto = AutoNormal(model)
    auto(X)
    before = {name: value.clone() for name, value in auto.named_parameters()}
    stored = {name: value.clone() for name, value in pyro.get_param_store().items()}
    random = torch.get_rng_state()
    study = pv.gradients(
        model, auto, X, estimators="score-function:moving-average", draws=20, steps=20, warmup=3, seed=1, progress=False
    )
    assert torch.equal(torch.get_rng_state(), random)
    assert pyro.get_param_store().keys() == stored.keys()
    for name, value in pyro.get_param_store().items():
        assert torch.equal(value, stored[name])
    for name, value in auto.named_parameters():
        assert torch.equal(value, before[name])
    moved = study.parameters()["mean"].unstack("at")
    assert (moved["start"] != moved["fit"]).any()


def test_a_fit_that_is_there_is_measured_as_it_is() -> None:
    result = pv.fit(model, "auto_normal", X, steps=60, seed=2, progress=False)
    study = pv.gradients(model, data=X, fitted=result, estimators="reparameterized", draws=20, seed=0, progress=False)
    assert list(study.table().index.unique("at")) == ["fit"]
    assert "60 steps" in study.run["fit"]
    assert f"{result.bound:.3f}" in study.run["bound"]


def bits(x: torch.Tensor) -> None:
    with pyro.plate("rows", len(x)):
        b = pyro.sample("b", dist.Bernoulli(0.3))
        pyro.sample("x", dist.Normal(b, 1.0), obs=x)


def bits_guide(x: torch.Tensor) -> None:
    with pyro.plate("rows", len(x)):
        pyro.sample("b", dist.Bernoulli(logits=pyro.param("logits", torch.zeros(3))))


def test_all_that_can_take_the_sites_are_measured_and_the_others_are_named() -> None:
    study = pv.gradients(bits, bits_guide, X, num_particles=2, draws=20, at="start", warmup=5, seed=0, progress=False)
    assert "'b' (Bernoulli)" in study.left_out["reparameterized"]
    assert study.left_out["vimco"] == "On these sites it is iwae: the same gradient from the same draws."
    measured = list(study.table().index.unique("estimator"))
    assert {"score-function", "disarm", "arm", "rebar", "relax", "measure-valued", "iwae"} <= set(measured)
    assert not set(measured) & set(study.left_out)
    assert not len(pyro.get_param_store())  # what REBAR, RELAX and the guide registered is gone
    table = study.table().loc["start"].loc["guide"]
    assert table.loc["rebar", "warmup"] == 5
    assert table.loc["disarm", "warmup"] == 0
    assert table.loc["iwae", "reference"] == "exact, 2 draws"
    assert set(table.loc[["disarm", "arm", "relax", "iwae"], "biased"]) == {"no"}


def test_what_is_asked_for_is_measured_although_it_is_another_one_on_these_sites() -> None:
    both = pv.gradients(
        bits, bits_guide, X, estimators=["iwae", "vimco", "reparameterized"], num_particles=2, draws=20, at="start",
        seed=0, progress=False,
    )  # fmt: skip
    assert list(both.table().index.unique("estimator")) == ["iwae", "vimco"]
    assert "'b' (Bernoulli)" in both.left_out["reparameterized"]


def test_when_no_estimator_is_left_the_error_says_why_for_each() -> None:
    with pytest.raises(pv.EstimatorError, match=r"None of the estimators.*reparameterized: .*'b'.*dreg: .*'b'"):
        pv.gradients(bits, bits_guide, X, estimators=["reparameterized", "dreg"], draws=20)


@dataclass(frozen=True)
class Broken(pv.Reparameterized):
    """Not a number in one of the parameters, in some draws."""

    def __call__(self, particles: Particles, control: torch.nn.Module | None = None) -> Estimate:
        """The estimate, its gradient by ``locs`` infinite where the first draw is large."""
        estimate = super().__call__(particles, control)
        zero = (particles["w"].value[..., 1] - particles["w"].value[..., 1].detach()).sum()
        far = particles["z"].value[0].detach() > 0.9
        return replace(estimate, guide_loss=estimate.guide_loss + torch.where(far, zero.abs().sqrt(), zero))


def test_a_gradient_that_is_no_number_is_named_with_its_parameter() -> None:
    found = pv.gradients(
        model, guide, X, estimators={"broken": Broken(), "plain": pv.Reparameterized()}, num_particles=2, draws=40,
        at="start", seed=0, progress=False,
    )  # fmt: skip
    assert "'locs[1]' is nan" in found.left_out["broken"]
    assert list(found.table().index.unique("estimator")) == ["plain"]


def test_a_pair_without_noise_or_without_parameters_is_refused() -> None:
    def fixed(x: torch.Tensor) -> None:
        pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("w", dist.Normal(0.0, 1.0))

    def no_parameters(x: torch.Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            w = pyro.sample("w", dist.Normal(z, 1.0))
            pyro.sample("x", dist.Normal(w, 0.8), obs=x)

    with pytest.raises(pv.ModelError, match=r"draws nothing at random.*'z'.*auto_normal"):
        pv.gradients(model, AutoDelta(model), X, draws=20)
    with pytest.raises(pv.ModelError, match="neither guide nor model has a parameter"):
        pv.gradients(no_parameters, fixed, X, draws=20)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"draws": 5}, "draws: expected a whole number from 20, got 5"),
        ({"num_particles": 0}, "num_particles: expected a whole number above 0, got 0"),
        ({"at": "end"}, "at: expected 'start', 'fit' or both, got 'end'"),
        ({"seed": -1}, "seed: expected a whole number from 0"),
        ({"estimators": []}, "estimators: expected at least one estimator"),
        ({"estimators": ["dreg", pv.DReG()]}, "estimators: 'dreg' is there twice"),
        ({"estimators": "reparametrized"}, "Nearest: reparameterized"),
        ({"estimators": [pyro.infer.Trace_ELBO()]}, "expected an estimator, its name or a TraceELBO, got Trace_ELBO"),
        ({"estimators": [pv.TraceELBO(beta=4.0)]}, "beta, annealing and free_bits change the objective"),
    ],
)
def test_a_wrong_option_is_named(options: dict, said: str) -> None:
    with pytest.raises(pv.OptionError, match=said):
        pv.gradients(model, guide, X, **options)
