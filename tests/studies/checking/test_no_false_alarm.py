"""Where nothing is wrong nothing is found: the catalogue's programs, the pairs of other tests."""

from __future__ import annotations

import pytest

import pyro_vae as pv
from pyro_vae.catalogue import catalogue
from tests.pairs import PAIRS
from tests.particles.enumerated_pairs import GUIDE, MODEL

# Automatic guides are for continuous latents: for these programs there is none, and that is what is said.
DISCRETE = ("categorical_vae", "sentiment_vae", "sigmoid_belief_network")
# True findings: a scale without constraint.
KNOWN = {"guide: then continuous": ["unconstrained"]}


# What takes more than a few seconds on a busy machine: large nets, or much data.
SLOW = ("linear_vae", "sentence_vae", "sentiment_vae", "stick_breaking_vae", "topic_model")


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
