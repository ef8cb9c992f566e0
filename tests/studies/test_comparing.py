"""``compare`` fits, draws, judges, and leaves everything that is not its own as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
import xarray as xr
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

import pyro_vae as pv
from pyro_vae.posterior import build, load
from pyro_vae.studies import ComparisonInterrupted
from pyro_vae.training import FitInterrupted

QUICK = {"steps": 300, "chains": 2, "draws": 500, "warmup": 300, "guide_draws": 1000, "progress": False}


def model(x: Tensor) -> None:
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", len(x)):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def guide(x: Tensor) -> None:
    loc = pyro.param("loc", torch.tensor(0.0))
    scale = pyro.param("scale", torch.tensor(1.0), constraint=dist.constraints.positive)
    pyro.sample("z", dist.Normal(loc, scale))


DATA = {"x": torch.tensor([1.0, 2.0, 3.0])}


def exact(draws: int = 1000) -> xr.DataTree:
    """The posterior of ``model`` given ``DATA`` is N(6/4, 1/4)."""
    rng = np.random.default_rng(1)
    return build({"posterior": {"z": 1.5 + 0.5 * rng.normal(size=(2, draws))}}, attrs={"exact": True})


def trained() -> None:
    """Put the optimum of ``guide`` into the param store."""
    pyro.param("loc", torch.tensor(1.5))
    pyro.param("scale", torch.tensor(0.5), constraint=dist.constraints.positive)


@pytest.fixture(scope="module")
def linear() -> pv.Comparison:
    return pv.compare("linear_regression", steps=1000, seed=0, progress=False)


def test_mean_field_is_untrusted_and_full_rank_trusted_on_a_correlated_gaussian(linear: pv.Comparison) -> None:
    levels = {name: verdict.level for name, verdict in linear.verdicts.items()}
    assert levels == {"auto_normal": "untrusted", "auto_multivariate_normal": "trusted"}
    assert linear.judgements["auto_normal"].weights.khat > 0.7
    assert linear.judgements["auto_multivariate_normal"].weights.khat < 0.4


def test_the_summary_has_a_row_per_guide_and_parameter_with_corrected_columns(linear: pv.Comparison) -> None:
    table = linear.summary()
    assert isinstance(table, pd.DataFrame)
    assert table.index.names == ["guide", "parameter"]
    assert len(table) == 2 * 5
    assert {"delta_mean", "mcse", "sd_ratio", "wasserstein", "corrected_sd_ratio"} <= set(table.columns)
    # sds too small by exactly sqrt(1 / (L_jj S_jj)), S the posterior covariance: here .31 for displacement
    ratio = table.loc[("auto_normal", "beta[displacement]"), "sd_ratio"]
    assert ratio == pytest.approx(0.31, abs=0.03)


def test_the_verdict_is_a_line_per_guide(linear: pv.Comparison) -> None:
    lines = linear.verdict.splitlines()
    assert lines[0].startswith("auto_normal: untrusted. ")
    assert lines[1].startswith("auto_multivariate_normal: trusted. ")


def test_the_run_is_recorded(linear: pv.Comparison) -> None:
    assert linear.run["seed"] == "0"
    assert {"torch", "pyro-vae", "Python", "fit of auto_normal", "time of baseline"} <= set(linear.run)
    assert all(isinstance(value, str) for value in linear.run.values())
    assert linear.health is not None
    assert linear.health.counts
    assert "exact draws" in linear.how


def test_a_comparison_is_saved_whole(linear: pv.Comparison, tmp_path: Path) -> None:
    folder = linear.save(tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == {"report.html", "figures", "draws", "summary.csv"}
    assert {path.stem for path in (folder / "draws").iterdir()} == {
        "baseline",
        "auto_normal",
        "auto_multivariate_normal",
    }
    assert {"marginals", "forest", "pair", "bound", "weights"} <= {path.stem for path in (folder / "figures").iterdir()}
    html = (folder / "report.html").read_text()
    assert "beta[displacement]" in html
    # What was saved can be the baseline of another comparison, and the draws are the same.
    again = load(folder / "draws" / "baseline.nc")
    xr.testing.assert_identical(again["posterior"].to_dataset(), linear.baseline["posterior"].to_dataset())
    rows = pd.read_csv(folder / "summary.csv", index_col=[0, 1])
    pd.testing.assert_frame_equal(rows, linear.summary(), check_exact=False)


def test_the_same_seed_gives_the_same_comparison_and_leaves_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    tables = [
        pv.compare(model, DATA, guides=["auto_normal"], baseline=exact(), seed=5, **QUICK).summary() for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*tables)
    assert torch.equal(state, torch.get_rng_state())


def test_guides_are_fitted_in_stores_of_their_own() -> None:
    pyro.param("loc", torch.tensor(-7.0))
    pyro.param("unrelated", torch.tensor(3.0))
    found = pv.compare(model, DATA, guides={"a": guide, "b": guide}, baseline=exact(), seed=0, **QUICK)
    assert dict(pyro.get_param_store()) == {"loc": torch.tensor(-7.0), "unrelated": torch.tensor(3.0)}
    for name in ("a", "b"):  # neither saw -7: both were fitted from the guide's own start
        assert found.fits[name].params["loc"].item() == pytest.approx(1.5, abs=0.1)
    assert found.posteriors["a"].attrs["guide"] == "a"


def test_a_guide_trained_with_plain_pyro_is_judged_as_it_is() -> None:
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO(num_particles=16, vectorize_particles=True))
    for _ in range(400):
        svi.step(**DATA)
    before = {name: value.clone() for name, value in pyro.get_param_store().items()}
    found = pv.compare(model, DATA, guides={"mine": guide}, refit=False, baseline=exact(), guide_draws=4000, seed=0)
    assert found.verdicts["mine"].level == "trusted"
    assert not found.fits
    after = dict(pyro.get_param_store())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_autoguide_trained_with_plain_pyro_is_judged_as_it_is(tmp_path: Path) -> None:
    auto = AutoNormal(model)
    svi = SVI(model, auto, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO(num_particles=16, vectorize_particles=True))
    for _ in range(400):
        svi.step(**DATA)
    found = pv.compare(model, DATA, guides=[auto], refit=False, baseline=exact(), guide_draws=4000, seed=0)
    assert found.verdicts["AutoNormal"].level == "trusted"
    assert found.to_html(tmp_path / "report.html").read_text()


def test_a_guide_that_was_not_trained_is_not_judged() -> None:
    with pytest.raises(pv.ModelError, match=r"Guide 'mine': .*parameter 'loc' is not in Pyro's param store"):
        pv.compare(model, DATA, guides={"mine": guide}, refit=False, baseline=exact())
    assert not list(pyro.get_param_store())
    with pytest.raises(pv.ModelError, match="has never been called"):
        pv.compare(model, DATA, guides={"mine": AutoNormal(model)}, refit=False, baseline=exact())


def test_a_name_is_not_a_trained_guide() -> None:
    with pytest.raises(pv.OptionError, match="'auto_normal' is a name"):
        pv.compare(model, DATA, guides=["auto_normal"], refit=False, baseline=exact())


def test_an_error_names_the_guide_and_the_site() -> None:
    def lacking(x: Tensor) -> None:
        pyro.sample("w", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 1.0))

    with pytest.raises(pv.ModelError, match=r"Guide 'lacking': .*'z'"):
        pv.compare(model, DATA, guides={"good": guide, "lacking": lacking}, baseline=exact(), **QUICK)


def test_a_model_that_learns_is_compared_one_guide_at_a_time() -> None:
    def learning(x: Tensor) -> None:
        noise = pyro.param("noise", torch.tensor(1.0), constraint=dist.constraints.positive)
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("row", len(x)):
            pyro.sample("x", dist.Normal(z, noise), obs=x)

    with pytest.raises(pv.ModelError, match=r"The model learns 'noise'.*one guide at a time"):
        pv.compare(learning, DATA, baseline=exact(), **QUICK)
    assert not list(pyro.get_param_store())
    found = pv.compare(learning, DATA, guides=["auto_normal"], baseline=exact(), **QUICK)
    assert "noise" in found.fits["auto_normal"].params


@pytest.mark.slow
def test_nuts_runs_at_the_parameters_that_the_fit_found() -> None:
    """x ~ N(z, noise) with noise learned: NUTS then has the posterior sd 1 / sqrt(1 + n / noise^2) of the fitted noise.

    1000 draws with an effective size of about 400: the sd is known to 4 %, and .93 of its start would be 25 % off.
    """
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0])

    def learning(x: Tensor) -> None:
        noise = pyro.param("noise", torch.tensor(1.0), constraint=dist.constraints.positive)
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("row", len(x)):
            pyro.sample("x", dist.Normal(z, noise), obs=x)

    found = pv.compare(learning, {"x": x}, guides=["auto_normal"], seed=0, **{**QUICK, "steps": 800})
    noise = found.fits["auto_normal"].params["noise"].item()
    assert noise > 1.8
    sd = found.baseline["posterior"]["z"].values.std()
    assert sd == pytest.approx((1 + 8 / noise**2) ** -0.5, rel=0.15)
    assert not list(pyro.get_param_store())


@pytest.mark.slow
def test_a_run_of_pyros_mcmc_can_be_the_baseline() -> None:
    from pyro.infer import MCMC, NUTS

    pyro.set_rng_seed(0)
    mcmc = MCMC(NUTS(model), num_samples=1500, warmup_steps=300, num_chains=1, disable_progbar=True)
    mcmc.run(**DATA)
    found = pv.compare(model, DATA, guides=["auto_normal"], baseline=mcmc, seed=0, **QUICK)
    assert found.baseline["posterior"]["z"].shape == (1, 1500)
    # One chain cannot be compared with another, so it does not count, and the reason says so.
    assert found.verdicts["auto_normal"].level == "none"
    assert "one chain" in found.verdicts["auto_normal"].reason
    assert abs(found.summary().loc[("auto_normal", "z"), "delta_mean"]) < 0.3


def test_a_baseline_of_another_model_is_refused() -> None:
    other = build({"posterior": {"nothing_like_it": np.zeros((2, 100))}})
    with pytest.raises(pv.OptionError, match="no parameter in common"):
        pv.compare(model, DATA, guides=["auto_normal"], baseline=other, **QUICK)


def test_a_baseline_that_does_not_count_gives_no_verdict() -> None:
    apart = build({"posterior": {"z": np.random.default_rng(0).normal(size=(2, 500)) + np.array([[0.0], [5.0]])}})
    found = pv.compare(model, DATA, guides=["auto_normal"], baseline=apart, seed=0, **QUICK)
    assert found.verdicts["auto_normal"].level == "none"
    assert found.health is not None
    assert not found.health.counts


def test_minibatches_are_judged_on_the_whole_data() -> None:
    x = torch.tensor([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 0.0, 1.0])

    def batched(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        with pyro.plate("data", size=8, subsample=x):
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    loader = torch.utils.data.DataLoader(x, batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(0))
    rng = np.random.default_rng(2)
    posterior = build({"posterior": {"z": float(x.sum()) / 9 + rng.normal(size=(1, 4000)) / 3}}, attrs={"exact": True})
    found = pv.compare(
        batched, loader, guides=["auto_normal"], baseline=posterior, steps=600, seed=0, progress=False, guide_draws=4000
    )
    assert found.verdicts["auto_normal"].level == "trusted"
    assert found.posteriors["auto_normal"]["observed_data"]["x"].shape == (8,)


def test_ctrl_c_keeps_the_fits_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyro_vae.studies import comparing

    real = comparing.fit

    def interrupted(model: object, guide: object, *args: object, **options: object) -> object:
        found = real(model, guide, *args, **options)  # pyright: ignore
        if guide == "auto_multivariate_normal":
            raise FitInterrupted("at step 7", found)
        return found

    monkeypatch.setattr(comparing, "fit", interrupted)
    with pytest.raises(ComparisonInterrupted) as stop:
        pv.compare(model, DATA, baseline=exact(), seed=0, **QUICK)
    assert list(stop.value.fits) == ["auto_normal", "auto_multivariate_normal"]
    assert isinstance(stop.value, KeyboardInterrupt)


def test_two_modes_are_missed_and_it_is_said_although_khat_looks_good() -> None:
    found = pv.compare("bimodal", guides=["auto_normal"], steps=500, seed=0, progress=False)
    for name, verdict in found.verdicts.items():
        assert verdict.level == "untrusted"
        assert "misses a mode of x" in verdict.reason
        assert found.judgements[name].weights.khat < 0.5


@pytest.mark.slow
def test_a_mixture_is_compared_with_its_assignments_summed_out() -> None:
    def mixture(x: Tensor) -> None:
        far = pyro.sample("far", dist.Normal(4.0, 1.0))
        with pyro.plate("row", len(x)):
            z = pyro.sample("z", dist.Bernoulli(0.4), infer={"enumerate": "parallel"})
            pyro.sample("x", dist.Normal(z * far, 1.0), obs=x)

    found = pv.compare(
        mixture,
        {"x": torch.tensor([0.1, -0.5, 3.8, 4.6, 4.1])},
        guides=["auto_normal"],
        seed=0,
        **{**QUICK, "steps": 1000},
    )
    assert set(found.posteriors["auto_normal"]["posterior"].data_vars) == {"far"}
    assert found.verdicts["auto_normal"].level in ("trusted", "reweight")
