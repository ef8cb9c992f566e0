"""``fit``: the right answer, to the bit when seeded, with every switch and generator left as it was."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, TraceGraph_ELBO
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal

from pyro_vae import AnalyticKL, TraceELBO, fit
from pyro_vae.errors import ModelError, OptionError, OutputError
from pyro_vae.training import Flat
from tests.pairs import PAIRS
from tests.training.programs import GuideModule, Y, exact, guide, model

QUICK = {"steps": 30, "stop": None, "progress": False}


def test_defaults_reach_the_exact_posterior_and_evidence():
    # Conjugate: the bound's optimum is the log evidence. The last steps move the location by about .005.
    mean, sd, evidence = exact()
    result = fit(model, guide, Y, seed=1)
    assert result.converged
    assert result.bound == pytest.approx(evidence, abs=3 * result.bound_se + 2e-3)
    assert result.params["loc"].item() == pytest.approx(mean, abs=0.02)
    assert result.params["scale"].item() == pytest.approx(sd, rel=0.03)
    assert result.steps < 1500


@pytest.mark.parametrize("make", [lambda: guide, GuideModule, lambda: "auto_normal", lambda: AutoNormal(model)])
def test_the_same_seed_gives_the_same_fit_to_the_bit(make):
    found = []
    for _ in range(2):
        pyro.clear_param_store()
        torch.rand(7)  # the program's own draws do not matter
        found.append(fit(model, make(), Y, seed=3, **QUICK))
    one, other = found
    assert (one.history.bound == other.history.bound).all()
    assert (one.bound, one.bound_se) == (other.bound, other.bound_se)
    for name in one.values:
        assert torch.equal(one.values[name], other.values[name])


def test_another_seed_gives_another_fit():
    one, other = (fit(model, "auto_normal", Y, seed=seed, **QUICK) for seed in (1, 2))
    assert one.bound != other.bound


def test_a_seeded_fit_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    fit(model, "auto_normal", Y, seed=0, **QUICK)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_function_and_a_module_give_the_same_fit():
    one = fit(model, guide, Y, seed=0, **QUICK)
    pyro.clear_param_store()
    other = fit(model, GuideModule(), Y, seed=0, **QUICK)
    assert (one.history.bound == other.history.bound).all()
    assert one.params["scale"] == next(value for name, value in other.params.items() if name.endswith("scale"))


def test_steps_are_svis_to_the_bit():
    elbo = TraceELBO(num_particles=4)
    pyro.set_rng_seed(5)
    svi = SVI(model, AutoMultivariateNormal(model), pyro.optim.Adam({"lr": 0.03}), loss=elbo)
    losses = [svi.step(Y) for _ in range(30)]
    theirs = {name: value.detach().clone() for name, value in pyro.get_param_store().named_parameters()}
    pyro.clear_param_store()
    ours = fit(
        model,
        AutoMultivariateNormal(model),
        Y,
        num_particles=4,
        optimizer=pyro.optim.Adam({"lr": 0.03}),
        seed=5,
        average=False,
        **QUICK,
    )
    assert ours.history.bound.tolist() == [-loss for loss in losses]
    for name, value in theirs.items():
        assert torch.equal(ours.values[name], value)


def test_values_are_left_in_the_param_store_and_in_modules():
    result = fit(model, guide, Y, seed=0, **QUICK)
    assert torch.equal(pyro.param("scale"), result.params["scale"])
    pyro.clear_param_store()
    module = GuideModule()
    result = fit(model, module, Y, seed=0, **QUICK)
    assert any(torch.equal(module.loc, value) for value in result.params.values())


def test_a_guide_by_name_starts_afresh_whatever_the_param_store_holds():
    one = fit(model, "auto_normal", Y, seed=0, **QUICK)

    def other_model(y):
        pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))

    fit(other_model, "auto_normal", Y, seed=0, **QUICK)
    again = fit(model, "auto_normal", Y, seed=0, **QUICK)
    assert (one.history.bound == again.history.bound).all()


@pytest.mark.usefixtures("cheap_bounds")
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_every_pair_can_be_fitted(pair):
    program, its_guide, args = pair.make()
    estimator = "reparameterized" if pair.reparameterised else "score-function:leave-one-out"
    result = fit(program, its_guide, args, estimator=estimator, num_particles=4, seed=0, **QUICK)
    assert result.steps == 30
    assert torch.isfinite(torch.tensor(result.bound))
    assert set(result.params) == set(result.values) == set(result.leaves)


@pytest.mark.parametrize("data", [Y, (Y,), {"y": Y}, [Y]], ids=["tensor", "tuple", "dict", "list"])
def test_data_as_people_give_it(data):
    assert fit(model, guide, data, seed=0, **QUICK).steps == 30


def test_history_has_one_entry_per_step():
    result = fit(model, guide, Y, seed=0, steps=60, stop=None)
    history = result.history
    assert len(history) == result.steps == 60
    for series in (history.bound, history.smoothed, history.seconds, history.learning_rate, history.gradient_norm):
        assert series.shape == (60,)
    assert (history.seconds[1:] > history.seconds[:-1]).all()
    assert history.learning_rate[0] == pytest.approx(0.05)
    assert history.learning_rate[-1] < 0.001
    assert result.seconds == pytest.approx(history.seconds[-1])


def test_the_stop_rule_ends_the_search_and_is_not_asked_while_settling():
    asked = []

    def rule(bound):
        asked.append(len(bound))
        return len(bound) >= 100

    result = fit(model, guide, Y, seed=0, stop=rule, steps=2000)
    assert asked == [50, 100]
    assert result.converged
    assert result.steps == 850
    assert "flat after 100 steps" in result.reason
    assert (result.history.learning_rate[:100] == 0.05).all()
    assert (result.history.learning_rate[101:] < 0.05).all()


def test_a_run_out_of_steps_settles_and_says_so():
    result = fit(model, guide, Y, seed=0, steps=100, stop=Flat(tolerance=1e-9))
    assert result.steps == 100
    assert not result.converged
    assert "too few" in result.reason
    assert result.history.learning_rate[-1] < 0.001


def test_a_bound_that_moves_to_the_end_is_said():
    result = fit(model, guide, Y + 1000, seed=0, steps=700, num_particles=1)
    assert not result.converged
    assert "still moving" in result.reason


def test_a_schedule_of_the_whole_run_is_not_stopped():
    result = fit(model, guide, Y, seed=0, steps=100, schedule="cosine", stop=lambda bound: True)
    assert result.steps == 100
    assert result.history.learning_rate[50] == pytest.approx(0.05 * 0.5005, rel=1e-3)


def test_clipping_bounds_the_step_and_reports_the_norm_before():
    result = fit(model, guide, Y + 100, seed=0, optimizer="sgd", learning_rate=1e-3, clip=1.0, average=False, **QUICK)
    assert result.history.gradient_norm[0] > 100
    assert abs(result.params["loc"].item()) <= 1e-3 * 10 * 30  # momentum .9 sums to 10 steps of length 1e-3


def test_the_average_is_kept_only_if_it_does_not_lower_the_bound():
    # A long way to go: the tail's mean lies behind its end.
    result = fit(model, guide, Y + 50, seed=0, steps=60, stop=None, schedule="constant")
    assert not result.averaged
    # At a constant, large learning rate the mean is far better than the last iterate.
    result = fit(model, guide, Y, seed=0, steps=600, stop=None, schedule="constant", learning_rate=0.3, num_particles=1)
    assert result.averaged


def test_an_elbo_of_pyros_is_taken_as_estimator():
    result = fit(model, guide, Y, estimator=Trace_ELBO(num_particles=4, vectorize_particles=True), seed=0, **QUICK)
    assert result.num_particles == 4
    assert isinstance(fit(model, guide, Y, estimator=AnalyticKL(), seed=0, **QUICK).estimator, AnalyticKL)


def test_dtype_is_left_as_it_is():
    result = fit(model, "auto_normal", Y.double(), seed=0, **QUICK)
    assert {value.dtype for value in result.values.values()} == {torch.float32}

    def double_guide(y):
        pyro.sample("z", dist.Normal(pyro.param("loc", lambda: torch.zeros((), dtype=torch.float64)), 1.0))

    assert fit(model, double_guide, Y.double(), seed=0, **QUICK).values["loc"].dtype == torch.float64


def test_validation_is_on_for_the_first_look_and_off_in_the_loop():
    seen = []

    def watched(y):
        seen.append(torch.distributions.Distribution._validate_args)
        model(y)

    fit(watched, guide, Y, seed=0, **QUICK)
    assert seen[0]
    assert not any(seen[-60:])
    assert torch.distributions.Distribution._validate_args


def test_validation_is_restored_on_errors_too():
    pyro.enable_validation(True)

    def failing(y):
        if not torch.distributions.Distribution._validate_args:
            raise ZeroDivisionError
        model(y)

    with pytest.raises(ZeroDivisionError):
        fit(failing, guide, Y, seed=0, **QUICK)
    assert torch.distributions.Distribution._validate_args


def test_in_place_puts_the_fitted_values_back_for_a_while():
    result = fit(model, guide, Y, seed=0, **QUICK)
    fitted = result.params["loc"].clone()
    pyro.clear_param_store()
    with result.in_place():
        assert torch.equal(pyro.param("loc"), fitted)
    assert "loc" not in pyro.get_param_store()
    pyro.param("loc", torch.tensor(9.0))
    with result.in_place():
        assert torch.equal(pyro.param("loc"), fitted)
    assert pyro.param("loc").item() == 9.0


def test_unused_parameters_are_said():
    def generous(y):
        pyro.param("spare", torch.tensor(1.0))
        guide(y)

    with pytest.warns(UserWarning, match="does not depend on parameters spare"):
        fit(model, generous, Y, seed=0, **QUICK)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, OptionError, "steps: expected a positive"),
        ({"epochs": 2}, OptionError, "only a DataLoader has epochs"),
        ({"epochs": 2, "steps": 3}, OptionError, "give one of them"),
        ({"restarts": 0}, OptionError, "restarts"),
        ({"clip": -1.0}, OptionError, "clip"),
        ({"seed": -1}, OptionError, "seed"),
        ({"seed": 1.5}, OptionError, "seed"),
        ({"schedule": "cosin"}, OptionError, "Nearest: cosine"),
        ({"optimizer": pyro.optim.Adam({"lr": 0.1}), "schedule": "cosine"}, OptionError, "brings its own"),
        ({"estimator": "repar"}, OptionError, "reparameterized"),
        ({"estimator": 3}, OptionError, "got int"),
        ({"estimator": TraceELBO(num_particles=4), "num_particles": 8}, OptionError, "says otherwise"),
        ({"estimator": TraceGraph_ELBO()}, OptionError, "differentiable_loss"),
        ({"num_particles": 0}, OptionError, "num_particles"),
        ({"device": "warp"}, OptionError, "device 'warp'"),
        ({"checkpoint": "/absent/run.safetensors"}, OutputError, "/absent"),
        ({"resume": "/absent/run.safetensors"}, OutputError, "no such file"),
    ],
)
def test_what_cannot_be_asked_is_said(options, error, message):
    with pytest.raises(error, match=message):
        fit(model, guide, Y, **options)


def test_guides_and_models_that_cannot_be_fitted_are_said():
    with pytest.raises(OptionError, match="Nearest: auto_normal"):
        fit(model, "auto_norml", Y)
    with pytest.raises(OptionError, match="guide: expected a callable"):
        fit(model, 3, Y)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelError, match="model: expected a callable"):
        fit(3, guide, Y)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelError, match="no latent site"):
        fit(lambda y: pyro.sample("y", dist.Normal(0.0, 1.0), obs=y[0]), "auto_normal", Y)
    with pytest.raises(ModelError, match="nothing to fit"):
        fit(model, lambda y: pyro.sample("z", dist.Normal(0.0, 1.0)), Y)
