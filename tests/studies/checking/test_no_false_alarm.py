"""Where nothing is wrong nothing is found: the catalogue, other tests' pairs, and what tutorials teach."""

from __future__ import annotations

import pytest

import pyro_vae as pv
from pyro_vae.catalogue import catalogue
from tests.pairs import PAIRS
from tests.particles.enumerated_pairs import GUIDE, MODEL
from tests.studies.checking.tutorials import TUTORIALS

# Automatic guides are for continuous latents: for these programs there is none, and that is what is said.
DISCRETE = ("categorical_vae", "sentiment_vae", "sigmoid_belief_network")
# True findings: a scale without constraint.
KNOWN = {"guide: then continuous": ["unconstrained"]}


# What takes more than a few seconds on a busy machine: large nets, or much data.
SLOW = ("linear_vae", "per_datapoint", "sentence_vae", "sentiment_vae", "stick_breaking_vae", "topic_model")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in sorted(catalogue())]
)
def test_a_program_of_the_catalogue_is_clean(name):
    program = pv.load_program(name)
    for key, guide in program.guides.items():
        check = pv.check(program.model, guide, program.data)
        assert not check.findings, f"{key}: {check}"
    check = pv.check(program.model, "auto_normal", program.data)
    assert [one.code for one in check] == (["autoguide"] if name in DISCRETE else []), str(check)


@pytest.mark.parametrize("name", ["bimodal", "eight_schools", "funnel", "linear_regression", "logistic_regression"])
def test_a_model_that_nuts_can_sample_is_clean_on_its_own(name):
    program = pv.load_program(name)
    check = pv.check(program.model, None, program.data)
    assert not check.findings, str(check)


@pytest.mark.parametrize("pair", [*PAIRS, *MODEL, *GUIDE], ids=lambda pair: pair.name)
def test_a_pair_that_draws_can_be_taken_of_is_clean(pair):
    model, guide, args = pair.make()
    check = pv.check(model, guide, args)
    assert [one.code for one in check] == KNOWN.get(pair.name, []), str(check)


# Written for one particle, as most of Pyro's tutorials are: locs[k], or a layer whose weights are sampled.
ONE_PARTICLE = ("bayesian_regression", "topics", "mixture")


@pytest.mark.parametrize("make", TUTORIALS, ids=lambda make: make.__name__)
def test_a_pair_as_tutorials_teach_it_is_clean(make):
    model, guide, data = make()
    assert not (check := pv.check(model, guide, data, num_particles=1)).findings, str(check)
    check = pv.check(model, guide, data)
    assert [one.code for one in check] == (["one-at-a-time"] if make.__name__ in ONE_PARTICLE else []), str(check)
