"""The parts of the bound at every check: right, complete, in the files, and the same in a run that was interrupted."""

from __future__ import annotations

import csv

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import Trace_ELBO
from torch.utils.data import DataLoader, TensorDataset

from pyro_vae import AnalyticKL, OptionError, Validation, fit, load_fit
from pyro_vae.elbo import TraceELBO
from pyro_vae.training import FitInterrupted, step
from pyro_vae.training.objective import Objective
from pyro_vae.training.validation import checked
from tests.training.programs import Y, guide, model
from tests.vae.parts import LATENTS, UNIT, small_vae

pytestmark = pytest.mark.usefixtures("cheap_bounds")
OPTIONS = {"estimator": AnalyticKL(), "num_particles": 2, "learning_rate": 0.01, "seed": 0, "stop": None, "steps": 12}
ROWS = UNIT.repeat(3, 1)


def trained(vae=None, **options):
    torch.manual_seed(0)
    vae = small_vae(size=len(ROWS)) if vae is None else vae
    loader = DataLoader(TensorDataset(ROWS), batch_size=5, shuffle=True)
    return fit(vae.model, vae.guide, loader, **{**OPTIONS, **options})


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("elbo", [TraceELBO(num_particles=3), TraceELBO(AnalyticKL(), 3), Trace_ELBO()])
def test_the_kl_of_a_vae_is_the_closed_form_by_dimension(elbo, batch_size):
    vae = small_vae(size=len(ROWS))
    data = ROWS if batch_size is None else DataLoader(ROWS, batch_size=batch_size)
    found = checked(Objective(vae.model, vae.guide, elbo), Validation(data, terms=True))
    assert found.names == ("reconstruction", "z[0]", "z[1]", "z[2]")
    with torch.no_grad():
        q = vae.encode(ROWS).base_dist
        kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).mean(0)
    np.testing.assert_allclose(found.terms[1:], kl, rtol=1e-5)
    if isinstance(elbo, TraceELBO) and isinstance(elbo.estimator, AnalyticKL):
        assert found.terms[0] - sum(found.terms[1:]) == pytest.approx(found.bound, rel=1e-5)


@pytest.mark.parametrize("name", LATENTS)
def test_every_family_has_terms_that_add_up(name):
    vae = small_vae(LATENTS[name].make())
    elbo = TraceELBO("reparameterized" if LATENTS[name].reparameterised or name == "enumerated" else "disarm", 2000)
    found = checked(Objective(vae.model, vae.guide, elbo), Validation(UNIT, terms=True))
    assert found.terms[0] - sum(found.terms[1:]) == pytest.approx(found.bound, abs=0.03)  # sd < .006 by the draws


def test_any_pair_has_the_terms_of_its_sites():
    found = checked(Objective(model, guide, TraceELBO(num_particles=50)), Validation(Y, terms=True))
    assert found.names == ("reconstruction", "z")
    assert found.terms[0] - found.terms[1] == pytest.approx(found.bound, abs=1e-5)


def test_they_are_recorded_saved_and_written(tmp_path):
    best, log = tmp_path / "best.safetensors", tmp_path / "log"
    result = trained(validation=Validation(UNIT, every=4, best=best, terms=True), log=log)
    assert result.terms.steps.tolist() == result.validation[:, 0].tolist() == [4, 8, 12, 12]
    assert result.terms.kl.shape == (4, 3)
    elbo = result.terms.reconstruction - result.terms.kl.sum(1)
    np.testing.assert_allclose(elbo, result.validation[:, 1], rtol=1e-5)
    lines = list(csv.reader((log / "validation.csv").read_text().splitlines()))
    assert lines[0] == ["step", "bound_per_row", "reconstruction", "z[0]", "z[1]", "z[2]"]
    np.testing.assert_allclose(np.array(lines[1:], dtype=float), result.checks()[:3])
    for path in (best, result.save(tmp_path / "fit.safetensors")):
        pyro.clear_param_store()
        again = load_fit(path, result.model, result.guide, UNIT)
        assert again.terms.names == ("z[0]", "z[1]", "z[2]")
        assert again.checks().tolist() == result.checks()[: len(again.checks())].tolist()
    pyro.clear_param_store()
    assert trained(validation=UNIT).terms is None


def test_an_interrupted_run_has_the_terms_of_one_that_was_not(tmp_path, monkeypatch):
    options = {"validation": Validation(UNIT, every=4, terms=True), "restarts": 2}
    whole = trained(**options)
    original, taken = step.EagerStepper._step, [0]

    def dying(self, *args):
        taken[0] += 1
        if taken[0] > 19:
            raise KeyboardInterrupt
        return original(self, *args)

    kept = {"checkpoint": tmp_path / "run.safetensors", "checkpoint_every": 5}
    with monkeypatch.context() as patch:
        patch.setattr(step.EagerStepper, "_step", dying)
        pyro.clear_param_store()
        with pytest.raises(FitInterrupted):
            trained(**options, **kept)
    pyro.clear_param_store()
    with pytest.raises(OptionError, match="terms=True, this call terms=False"):
        trained(**{**options, "validation": UNIT}, **kept, resume=True)
    again = trained(**options, **kept, resume=True)
    assert again.terms.names == whole.terms.names
    assert again.checks().tolist() == whole.checks().tolist()


@pytest.mark.usefixtures("interpreted")
def test_a_compiled_run_has_the_same_terms():
    torch.manual_seed(0)
    both = []
    for compiled in (False, True):
        pyro.clear_param_store()
        torch.manual_seed(0)
        vae = small_vae()
        options = {**OPTIONS, "validation": Validation(UNIT, every=4, terms=True), "compile": compiled}
        both.append(fit(vae.model, vae.guide, UNIT, **options).checks())
    np.testing.assert_allclose(both[0], both[1], rtol=1e-4)


def test_terms_are_yes_or_no():
    with pytest.raises(OptionError, match="terms must be True or False, got 3"):
        Validation(UNIT, terms=3)
