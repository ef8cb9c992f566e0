"""Every pair under every estimator: the step that was written down, run as it is or compiled, is the eager one.

Most run the written steps operation by operation instead of compiling them, which takes seconds: everything but
Inductor itself is then the same.
"""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae import fit, load_program
from tests.pairs import PAIRS
from tests.training.agreeing import OPTIONS, both, close, fitted

pytestmark = pytest.mark.usefixtures("cheap_bounds", "unchecked")

PAIR = {pair.name: pair for pair in PAIRS}
# pyro.plate(...) as a loop asks a tensor for its number; the others are refused by the estimator itself
TRACED = [pair for pair in PAIRS if pair.name != "sequential plate"]
ESTIMATORS = {
    "reparameterized": [pair for pair in TRACED if pair.reparameterised],
    "score-function:leave-one-out": TRACED,
    "score-function:moving-average": [PAIR["params"], PAIR["discrete"], PAIR["mixed"]],
    "sticking-the-landing": [pair for pair in TRACED if pair.reparameterised],
    "analytic-kl": [PAIR["params"], PAIR["AutoNormal"], PAIR["nested plates"], PAIR["neural"]],
    "dreg": [PAIR["params"], PAIR["shared prior"], PAIR["AutoMultivariateNormal"]],
    "disarm": [PAIR["discrete"], PAIR["mixed"], PAIR["discrete chain"]],
    "vimco": [PAIR["discrete"], PAIR["auxiliary discrete"]],
}
QUICK = {
    ("reparameterized", "AutoNormal"),
    ("reparameterized", "subsampled plate"),
    ("score-function:leave-one-out", "mixed"),
    ("score-function:moving-average", "discrete"),
    ("sticking-the-landing", "params"),
    ("analytic-kl", "AutoNormal"),
    ("dreg", "params"),
    ("disarm", "discrete"),
    ("vimco", "auxiliary discrete"),
}


def ids(case):
    return getattr(case, "name", case)


CASES = [
    pytest.param(estimator, pair, marks=() if (estimator, pair.name) in QUICK else pytest.mark.slow)
    for estimator, pairs in ESTIMATORS.items()
    for pair in pairs
    if pair.name != "neural"  # its network has float32 weights
]
COMPILED = [
    ("reparameterized", PAIR["AutoNormal"]),
    ("reparameterized", PAIR["subsampled plate"]),
    ("score-function:leave-one-out", PAIR["mixed"]),
    ("sticking-the-landing", PAIR["neural"]),
    ("dreg", PAIR["AutoMultivariateNormal"]),
    ("analytic-kl", PAIR["nested plates"]),
    ("disarm", PAIR["discrete chain"]),
]


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(("estimator", "pair"), CASES, ids=ids)
def test_written_steps_are_the_eager_ones_from_the_same_draws(estimator, pair, double, eager_steps):
    one = fitted(pair.make, estimator=estimator, steps=20)
    eager_steps[0] = 0
    other = fitted(pair.make, estimator=estimator, steps=20, compile=True)
    assert eager_steps == [1]
    close(one, other, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "pair"), COMPILED, ids=ids)
def test_a_compiled_step_is_the_eager_one_in_32_bits(estimator, pair):
    close(*both(pair.make, estimator=estimator, steps=2), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "pair"), [case for case in COMPILED if case[1].name != "neural"], ids=ids)
def test_fifty_compiled_steps_are_the_eager_ones_in_64_bits(estimator, pair, double):
    close(*both(pair.make, estimator=estimator, steps=50), 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eight_schools_noncentered", "logistic_regression", "funnel", "linear_regression"])
def test_fifty_compiled_steps_of_the_programs_are_the_eager_ones(name, double):
    program = load_program(name)
    data = {key: value.double() if torch.is_tensor(value) else value for key, value in program.data.items()}
    fits = []
    for compile in (None, True):
        pyro.clear_param_store()
        fits.append(fit(program.model, "auto_normal", data, steps=50, compile=compile, **OPTIONS))
    close(*fits, 1e-10)


@pytest.mark.usefixtures("interpreted")
def test_operations_that_are_decomposed_into_writes_in_place_are_no_obstacle(double):
    """The derivative of binary cross-entropy is one."""

    def logistic(x):
        slope = pyro.sample("slope", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Bernoulli(logits=slope * x), obs=(x > 0).to(x))

    close(*both(lambda: (logistic, "auto_normal", (torch.linspace(-1.0, 2.0, 5),)), steps=5), 1e-10)
