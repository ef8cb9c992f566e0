"""Gradient estimators compared: from one start, on one scale, and none of them ends the comparison for the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroModule, PyroParam
from torch import Tensor

import pyro_vae as pv
from pyro_vae.estimators import Estimate
from pyro_vae.report import print_report
from pyro_vae.studies import comparing
from tests.studies.test_comparing import DATA, QUICK, exact, guide, model

NAMES = ["reparameterized", "score-function:leave-one-out", "dreg"]


@pytest.fixture(scope="module")
def three() -> pv.Comparison:
    return pv.compare(model, DATA, estimator=NAMES, baseline=exact(), seed=0, **QUICK)


def test_each_estimator_has_a_fit_and_a_verdict(three: pv.Comparison) -> None:
    assert list(three.fits) == list(three.posteriors) == list(three.verdicts) == NAMES
    assert [type(fit.estimator).__name__ for fit in three.fits.values()] == [
        "Reparameterized",
        "ScoreFunction",
        "DReG",
    ]
    assert three.verdict.startswith("reparameterized: ")
    assert three.summary().index.names == ["estimator", "parameter"]
    assert three.run["estimator"] == ", ".join(NAMES)
    assert "time of fit of dreg" in three.run


def test_all_fits_begin_at_the_same_place(three: pv.Comparison) -> None:
    """From one seed the first draws are the same, so the first ELBOs are, whatever is made of them."""
    first = [fit.history.elbo[0] for fit in three.fits.values()]
    assert first == pytest.approx([first[0]] * 3, rel=1e-6)


def test_the_table_has_what_each_reached_and_what_it_cost(three: pv.Comparison) -> None:
    table = three.estimators()
    assert table.index.name == "estimator"
    assert list(table.index) == NAMES
    # the posterior is normal: the best ELBO of a normal guide is the log evidence, N(x; 0, I + 11') at (1, 2, 3)
    x = DATA["x"].double()
    evidence = torch.distributions.MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double() + 1).log_prob(x)
    assert np.abs(table["elbo"] - evidence.item()).max() < 0.1  # 1000 draws of weights with an sd below .3: 10 se
    assert (table["bound"] > evidence.item() - 0.1).all()
    assert table["converged"].dtype == bool
    assert not table["diverged"].any()
    assert (table["steps"] <= 300).all()
    assert (table["ms_per_step"] > 0).all()
    for name, fit in three.fits.items():
        clock = fit.history.seconds
        assert table.loc[name, "seconds"] + table.loc[name, "start_up"] == pytest.approx(clock[-1])


def test_it_is_saved_with_its_table_and_figure(three: pv.Comparison, tmp_path: Path) -> None:
    folder = three.save(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {
        "report.html", "figures", "draws", "summary.csv", "estimators.csv",
    }  # fmt: skip
    figures = {path.stem for path in (folder / "figures").iterdir()}
    assert "estimators" in figures
    assert "bound" not in figures  # bounds of different objectives on one axis would be a wrong comparison
    pd.testing.assert_frame_equal(pd.read_csv(folder / "estimators.csv", index_col=0), three.estimators())


def test_one_estimator_looks_as_it_always_did(tmp_path: Path) -> None:
    found = pv.compare(model, DATA, guides=["auto_normal"], estimator="dreg", baseline=exact(), seed=0, **QUICK)
    folder = found.save(tmp_path / "out")
    assert list(found.fits) == ["auto_normal"]
    assert {path.name for path in folder.iterdir()} == {"report.html", "figures", "draws", "summary.csv"}
    figures = {path.stem for path in (folder / "figures").iterdir()}
    assert "bound" in figures
    assert "estimators" not in figures
    assert "Gradient estimators" not in (folder / "report.html").read_text()
    assert found.summary().index.names == ["guide", "parameter"]


class Module(PyroModule):
    """The guide as a module, which a fit trains in place."""

    def __init__(self) -> None:
        super().__init__()
        self.loc = torch.nn.Parameter(torch.tensor(-2.0))
        self.scale = PyroParam(torch.tensor(0.8), constraint=dist.constraints.positive)

    def forward(self, x: Tensor) -> None:
        pyro.sample("z", dist.Normal(self.loc, self.scale))


def test_a_guide_that_is_a_module_starts_each_fit_where_it_was_and_is_left_there() -> None:
    own = Module()
    found = pv.compare(
        model,
        DATA,
        guides=own,
        estimator={"a": "reparameterized", "b": pv.Reparameterized()},
        baseline=exact(),
        seed=0,
        **QUICK,
    )
    assert own.loc.item() == -2.0
    assert (found.fits["a"].history.bound == found.fits["b"].history.bound).all()
    assert found.fits["b"].params["loc"].item() == pytest.approx(1.5, abs=0.2)
    draws = found.posteriors["a"]["posterior"]["z"]
    assert float(draws.mean()) == pytest.approx(1.5, abs=0.2)


def test_an_autoguide_that_was_never_called_starts_each_fit_at_the_same_place() -> None:
    found = pv.compare(
        model, DATA, guides=AutoNormal(model), estimator={"a": "reparameterized", "b": pv.Reparameterized()},
        baseline=exact(), seed=0, **{**QUICK, "steps": 60},
    )  # fmt: skip
    assert (found.fits["a"].history.bound == found.fits["b"].history.bound).all()


def test_a_net_inside_a_function_starts_each_fit_where_it_was() -> None:
    net = torch.nn.Linear(3, 2)
    before = net.weight.detach().clone()

    def amortised(x: Tensor) -> None:
        loc, log_scale = pyro.module("net", net)(x)
        pyro.sample("z", dist.Normal(loc, log_scale.exp()))

    found = pv.compare(
        model, DATA, guides={"net": amortised}, estimator={"a": "iwae", "b": "iwae"}, baseline=exact(), seed=0, **QUICK
    )
    assert torch.equal(net.weight, before)
    assert (found.fits["a"].history.bound == found.fits["b"].history.bound).all()


def test_guides_and_estimators_are_crossed() -> None:
    found = pv.compare(
        model, DATA, guides={"mine": guide, "auto": "auto_normal"}, estimator=["reparameterized", "iwae"],
        baseline=exact(), seed=0, **{**QUICK, "steps": 60},
    )  # fmt: skip
    assert list(found.fits) == ["mine / reparameterized", "mine / iwae", "auto / reparameterized", "auto / iwae"]
    assert found.estimators().index.name == "guide / estimator"


def coin(x: Tensor) -> None:
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    b = pyro.sample("b", dist.Bernoulli(0.4))
    with pyro.plate("row", len(x)):
        pyro.sample("x", dist.Normal(z + b, 1.0), obs=x)


def coin_guide(x: Tensor) -> None:
    pyro.sample("z", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 0.5))
    pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))


def test_an_estimator_that_cannot_take_a_site_is_found_out_before_the_first_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("a fit was begun")

    monkeypatch.setattr(comparing, "fit", never)
    given = ["vimco", "score-function", "dreg"]
    with pytest.raises(pv.EstimatorError) as error:
        pv.compare(coin, DATA, guides={"coin": coin_guide}, estimator=given, baseline=exact(), seed=0, **QUICK)
    said = str(error.value)
    assert said.startswith("'dreg': DReG needs reparameterised sites")
    assert "'b'" in said
    assert "Of the estimators given, these can take 'coin': vimco, score-function." in said
    library = said.partition("Of all: ")[2]
    assert "analytic-kl" in library
    assert "reparameterized" not in library
    assert not list(pyro.get_param_store())


def test_a_pair_that_does_not_fit_together_is_found_out_before_the_first_fit() -> None:
    def lacking(x: Tensor) -> None:
        pyro.sample("w", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 1.0))

    with pytest.raises(pv.ModelError, match=r"^'lacking / iwae': .*'z'"):
        pv.compare(model, DATA, guides={"good": guide, "lacking": lacking}, estimator=["iwae", "dreg"], **QUICK)


class Exploding(pv.Reparameterized):
    """An estimator whose bound is NaN from its 20th step on."""

    def __call__(self, particles: Any, control: Any = None) -> Any:
        estimate = super().__call__(particles, control)
        if torch.is_grad_enabled():
            steps.append(1)
        return Estimate(estimate.guide_loss, estimate.bound * (np.nan if len(steps) > 19 else 1.0))


steps: list[int] = []


def test_a_fit_that_diverges_is_reported_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    steps.clear()
    found = pv.compare(
        model, DATA, estimator={"bad": Exploding(), "good": "reparameterized"}, baseline=exact(), seed=0, **QUICK
    )
    assert list(found.diverged) == ["bad"]
    assert "became NaN or infinite at step 19" in found.diverged["bad"]
    assert list(found.posteriors) == ["good"]
    assert found.verdicts["bad"].level == "none"
    assert found.verdicts["bad"].reason.startswith("The fit diverged.")
    assert len(found.fits["bad"].history) == 19
    table = found.estimators()
    assert list(table.index) == ["bad", "good"]
    assert table.loc["bad", "diverged"]
    assert np.isnan(table.loc["bad", "elbo"])
    assert not np.isnan(table.loc["good", "elbo"])
    folder = found.save(tmp_path / "out")
    assert "The fit diverged" in (folder / "report.html").read_text()
    assert {path.stem for path in (folder / "draws").iterdir()} == {"baseline", "good"}
    print_report(found.content())
    words = " ".join(capsys.readouterr().out.split())
    assert "diverged" in words
    assert "bad: no verdict. The fit diverged. The bound became NaN" in words


def test_if_every_fit_diverges_there_is_nothing_to_report() -> None:
    steps.clear()
    with pytest.raises(pv.DivergedError, match=r"Every fit diverged\. 'bad': The bound became NaN") as error:
        pv.compare(model, DATA, estimator={"bad": Exploding()}, baseline=exact(), seed=0, **QUICK)
    assert isinstance(error.value.fit, pv.Fit)


def test_one_estimator_that_diverges_is_still_an_error() -> None:
    steps.clear()
    with pytest.raises(pv.DivergedError, match=r"^Guide 'auto_normal': "):
        pv.compare(model, DATA, guides="auto_normal", estimator=Exploding(), baseline=exact(), seed=0, **QUICK)


def test_a_model_that_learns_is_refused_with_several_estimators() -> None:
    def learning(x: Tensor) -> None:
        noise = pyro.param("noise", torch.tensor(1.0), constraint=dist.constraints.positive)
        pyro.sample("x", dist.Normal(pyro.sample("z", dist.Normal(0.0, 1.0)), noise).expand([3]).to_event(1), obs=x)

    with pytest.raises(pv.ModelError, match=r"The model learns 'noise'.*Compare one guide and estimator at a time"):
        pv.compare(learning, DATA, estimator=["iwae", "dreg"], baseline=exact(), **QUICK)


def test_nothing_is_fitted_with_refit_false() -> None:
    with pytest.raises(pv.OptionError, match=r"estimator='iwae, dreg' with refit=False"):
        pv.compare(model, DATA, guides={"mine": guide}, estimator=["iwae", "dreg"], refit=False)
