"""A run killed and resumed ends as one that was never interrupted, to the bit; a saved fit comes back."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.optim
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from pyro_vae import fit, load_fit
from pyro_vae.errors import OptionError, OutputError
from pyro_vae.guides import names
from pyro_vae.training import FitInterrupted, step
from tests.pairs import PAIRS, hierarchy
from tests.training.programs import GuideModule, Y, guide, model, rows_model

pytestmark = pytest.mark.usefixtures("cheap_bounds")


def same(one, other):
    assert (one.history.bound == other.history.bound).all()
    assert (one.history.learning_rate == other.history.learning_rate).all()
    assert (one.history.elbo == other.history.elbo).all()
    assert (np.diff(other.history.seconds) > 0).all()  # the clock goes on where the killed run's had stopped
    assert (one.bound, one.bound_se, one.averaged, one.reason) == (
        other.bound,
        other.bound_se,
        other.averaged,
        other.reason,
    )
    assert one.values.keys() == other.values.keys()
    for name in one.values:
        assert torch.equal(one.values[name], other.values[name]), name


def killed_and_resumed(make, path, monkeypatch, *, at=15, every=6, **options):
    """(uninterrupted, resumed) fits of fresh pairs; the second is killed at step ``at``, then resumed."""
    pyro.clear_param_store()
    program, its_guide, data = make()
    whole = fit(program, its_guide, data, **options)

    pyro.clear_param_store()
    program, its_guide, data = make()
    with monkeypatch.context() as patch:
        original, taken = step.EagerStepper._step, [0]

        def dying(self, *args):
            taken[0] += 1
            if taken[0] > at:
                raise KeyboardInterrupt
            return original(self, *args)

        patch.setattr(step.EagerStepper, "_step", dying)
        with pytest.raises(FitInterrupted):
            fit(program, its_guide, data, checkpoint=path, checkpoint_every=every, **options)

    pyro.clear_param_store()
    torch.rand(3)  # another process has another random state
    program, its_guide, data = make()
    return whole, fit(program, its_guide, data, resume=path, **options)


OPTIONS = {"steps": 24, "stop": None, "seed": 0, "num_particles": 4}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_every_pair_resumes_to_the_bit(pair, tmp_path, monkeypatch):
    estimator = "reparameterized" if pair.reparameterised else "score-function:leave-one-out"
    whole, resumed = killed_and_resumed(
        pair.make, tmp_path / "run.safetensors", monkeypatch, estimator=estimator, **OPTIONS
    )
    same(whole, resumed)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.slow if name in ("auto_iaf", "auto_neural_spline", "auto_diagonal_normal") else ()
        )
        for name in names()
        if name not in ("auto_normal", "auto_multivariate_normal")
    ],
)
def test_every_automatic_guide_resumes_to_the_bit(name, tmp_path, monkeypatch):
    program = model if name == "auto_laplace" else hierarchy  # whose mode is at tau = 0, where no Hessian is
    whole, resumed = killed_and_resumed(
        lambda: (program, name, (Y,)), tmp_path / "run.safetensors", monkeypatch, **OPTIONS
    )
    same(whole, resumed)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "learning_rate": 1e-3},
        {"optimizer": "rmsprop", "schedule": "cosine"},
        {"optimizer": pyro.optim.ClippedAdam({"lr": 0.05, "lrd": 0.99})},
        {"optimizer": "adamw", "clip": 1.0},
        {"restarts": 3},
        {"stop": lambda bound: len(bound) >= 50, "steps": 80},
    ],
    ids=["sgd", "cosine", "pyro.optim", "clip", "restarts", "stopped"],
)
@pytest.mark.parametrize("at", [25, 58])
def test_every_option_resumes_to_the_bit(options, at, tmp_path, monkeypatch):
    options = {**OPTIONS, "steps": 60, **options}
    whole, resumed = killed_and_resumed(
        lambda: (model, guide, Y), tmp_path / "run.safetensors", monkeypatch, at=at, **options
    )
    same(whole, resumed)


@pytest.mark.parametrize("own_generator", [False, True])
def test_minibatches_resume_to_the_bit(own_generator, tmp_path, monkeypatch):
    rows = torch.linspace(-1, 3, 23)

    def make():
        generator = torch.Generator().manual_seed(3) if own_generator else None
        loader = DataLoader(TensorDataset(rows), batch_size=5, shuffle=True, generator=generator)
        return (lambda batch: rows_model(batch, 23)), (lambda batch: guide(batch)), loader

    whole, resumed = killed_and_resumed(make, tmp_path / "run.safetensors", monkeypatch, at=20, every=7, **OPTIONS)
    same(whole, resumed)


def test_a_module_guide_resumes_to_the_bit(tmp_path, monkeypatch):
    whole, resumed = killed_and_resumed(
        lambda: (model, GuideModule(), Y), tmp_path / "run.safetensors", monkeypatch, **OPTIONS
    )
    same(whole, resumed)


def test_an_unseeded_run_resumes_to_the_bit(tmp_path, monkeypatch):
    pyro.set_rng_seed(11)
    whole, _ = killed_and_resumed(
        lambda: (model, guide, Y), tmp_path / "other.safetensors", monkeypatch, **{**OPTIONS, "seed": None}
    )
    path = tmp_path / "run.safetensors"
    pyro.clear_param_store()
    pyro.set_rng_seed(11)
    again = fit(model, guide, Y, checkpoint=path, **{**OPTIONS, "seed": None})
    same(whole, again)


def test_a_finished_run_resumes_to_itself(tmp_path):
    path = tmp_path / "run.safetensors"
    done = fit(model, guide, Y, checkpoint=path, **OPTIONS)
    pyro.clear_param_store()
    same(done, fit(model, guide, Y, resume=path, checkpoint=path, **OPTIONS))


def test_resuming_with_other_options_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    fit(model, guide, Y, checkpoint=path, **OPTIONS)
    with pytest.raises(OptionError, match="optimizer='adam', this call optimizer='sgd'"):
        fit(model, guide, Y, resume=path, optimizer="sgd", **OPTIONS)
    with pytest.raises(OptionError, match="particles=4, this call particles=8"):
        fit(model, guide, Y, resume=path, **{**OPTIONS, "num_particles": 8})


@pytest.mark.parametrize(
    "make",
    [lambda: guide, GuideModule, *(lambda name=name: name for name in names())],
    ids=["function", "module", *names()],
)
def test_a_saved_fit_comes_back(make, tmp_path):
    program = hierarchy if isinstance(make(), str) and make() != "auto_laplace" else model
    done = fit(program, make(), Y, estimator="analytic-kl", **OPTIONS)
    path = done.save(tmp_path / "fit.safetensors")
    pyro.clear_param_store()
    again = load_fit(path, done.model, make(), Y)
    assert repr(again.estimator) == "AnalyticKL()"
    assert again.seed == 0
    same(done, again)
    assert done.params.keys() == again.params.keys()
    for name in done.params:
        assert torch.equal(done.params[name], again.params[name])


def test_a_checkpoint_of_a_running_fit_can_be_loaded(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    killed_and_resumed(lambda: (model, guide, Y), path, monkeypatch, **OPTIONS)
    pyro.clear_param_store()
    found = load_fit(path, model, guide, Y)
    assert found.steps == 12
    assert not found.converged
    assert "checkpoint at step 12" in found.reason


def test_a_fit_of_another_model_is_refused(tmp_path):
    path = fit(model, guide, Y, **OPTIONS).save(tmp_path / "fit.safetensors")
    with pytest.raises(OutputError, match=r"lacks parameters \['AutoNormal"):
        load_fit(path, model, "auto_normal", Y)
    fit(hierarchy, "auto_normal", Y, **OPTIONS).save(path)
    with pytest.raises(OutputError, match=r"expected shape \(3,\), got \(6,\)"):
        load_fit(path, hierarchy, "auto_normal", Y[:3])
    with pytest.raises(OutputError, match="no such file"):
        load_fit(tmp_path / "absent", model, guide, Y)
