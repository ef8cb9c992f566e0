"""A compiled fit is the eager one to rounding, from the same draws; where it cannot be, it says why and goes on.

Most tests run the written steps operation by operation instead of compiling them, which takes seconds: everything but
Inductor itself is then the same.
"""

from __future__ import annotations

import functools

import numpy as np
import pyro
import pyro.distributions as dist
import pyro.optim
import pytest
import torch
from torch.distributions import constraints
from torch.utils.data import DataLoader

from pyro_vae import LinearAnnealing, fit
from pyro_vae.compiling import building
from pyro_vae.errors import DivergedError
from pyro_vae.training import FitInterrupted, block, compiled, fetched, noise, updates
from pyro_vae.training import options as opts
from pyro_vae.training.objective import elbo_from
from pyro_vae.training.optimizers import optimizer_from
from pyro_vae.training.prepare import prepare
from pyro_vae.training.step import EagerStepper, StepPlan, StepState
from tests.training.agreeing import OPTIONS, both, close, fitted, same, simple
from tests.training.programs import Y, guide, model, rows_model

pytestmark = pytest.mark.usefixtures("cheap_bounds")


@pytest.mark.usefixtures("interpreted", "unchecked")
def test_an_annealed_beta_and_clipping_and_averaging_go_on_inside_a_block(double, eager_steps):
    options = {"annealing": LinearAnnealing(40), "beta": 2.0, "clip": 0.5, "steps": 80, "schedule": "cosine"}
    one = fitted(simple, **options)
    eager_steps[0] = 0
    other = fitted(simple, compile=True, **options)
    assert eager_steps == [1]
    assert one.averaged == other.averaged
    close(one, other, 1e-10)
    (counter,) = other.objective.buffers().values()
    assert int(counter) == 80


@pytest.mark.usefixtures("interpreted")
def test_a_written_step_passes_its_own_checks(eager_steps):
    fitted(simple, compile=True, steps=60)  # a warning would be an error
    assert eager_steps == [1 + 3]


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("made", ["adamw", "sgd", "nadam", "rmsprop"])
def test_an_optimiser_by_name_goes_on_inside_a_block(made, double):
    close(*both(simple, optimizer=made, steps=30), 1e-10)


@pytest.mark.usefixtures("interpreted")
def test_a_step_that_is_not_the_eager_one_is_found_out(monkeypatch):
    right = updates.Update.__call__

    def wrong(self, name, value, grad, state, factor):
        return right(self, name, value, 1.01 * grad if name == "loc" else grad, state, factor)

    monkeypatch.setattr(updates.Update, "__call__", wrong)
    with pytest.warns(UserWarning, match=r"runs eagerly: the compiled step differs .* exp_avg_sq of 'loc'"):
        other = fitted(simple, compile=True, steps=20)
    same(fitted(simple, steps=20), other)


class Counting:
    """A model that anneals itself by counting its runs in Python."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, y):
        self.runs += 1
        with pyro.poutine.scale(scale=min(1.0, self.runs / 1000)):
            z = pyro.sample("z", dist.Normal(0.0, 2.0))
        with pyro.plate("data", len(y)):
            pyro.sample("y", dist.Normal(z, 1.0), obs=y)


def numpy_model(y):
    z = pyro.sample("z", dist.Normal(float(np.random.standard_normal()), 2.0))  # noqa: NPY002 - the point of the test
    pyro.sample("y", dist.Normal(z, 1.0), obs=y[0])


def gamma_guide(y):
    rate = pyro.param("rate", lambda: torch.tensor(1.0), constraint=constraints.positive)
    pyro.sample("z", dist.Gamma(2.0, rate))


def gamma_model(y):
    z = pyro.sample("z", dist.Gamma(1.0, 1.0))
    pyro.sample("y", dist.Normal(z, 1.0), obs=y[0])


def mixed_model(y):
    """A Gamma draw between normal ones."""
    before = pyro.sample("before", dist.Normal(0.0, 1.0))
    z = pyro.sample("z", dist.Gamma(2.0, 1.0))
    after = pyro.sample("after", dist.Normal(before, 1.0))
    pyro.sample("y", dist.Normal(after * z, 1.0), obs=y[0])


def mixed_guide(y):
    loc = pyro.param("loc", lambda: torch.zeros(2))
    shape = pyro.param("shape", lambda: torch.ones(2), constraint=constraints.positive)
    pyro.sample("before", dist.Normal(loc[0], 1.0))
    pyro.sample("z", dist.Gamma(shape[0], shape[1]))
    pyro.sample("after", dist.Normal(loc[1], 1.0))


def one_hot_model(y):
    z = pyro.sample("z", dist.OneHotCategorical(torch.ones(3) / 3))
    pyro.sample("y", dist.Normal((z * torch.arange(3.0)).sum(-1), 1.0), obs=y[0])


def one_hot_guide(y):
    pyro.sample("z", dist.OneHotCategorical(logits=pyro.param("logits", lambda: torch.zeros(3))))


def branching_guide(y):
    loc = pyro.param("loc", lambda: torch.tensor(0.0))
    pyro.sample("z", dist.Normal(loc if loc.sin() > 2 else -loc, 1.0))


REFUSED = {
    "a Python counter": (Counting(), guide, "differs from the eager one"),
    "NumPy's random numbers": (numpy_model, guide, "random numbers from NumPy"),
    "control flow": (model, branching_guide, "cannot be traced"),
}


@pytest.mark.usefixtures("interpreted", "unchecked")
@pytest.mark.parametrize("pair", ["gamma", "mixed", "one_hot"])
def test_draws_of_every_kind_are_the_eager_ones(pair, double, eager_steps):
    model, guide = globals()[f"{pair}_model"], globals()[f"{pair}_guide"]
    options = {"steps": 30, "estimator": "score-function:leave-one-out" if pair == "one_hot" else "reparameterized"}
    one = fitted(lambda: (model, guide, (Y,)), **options)
    eager_steps[0] = 0
    close(one, fitted(lambda: (model, guide, (Y,)), compile=True, **options), 1e-10)
    assert eager_steps == [1]


@pytest.mark.slow
def test_draws_inside_a_compiled_step_are_the_eager_ones():
    close(*both(lambda: (mixed_model, mixed_guide, (Y,)), steps=60), 1e-4)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compiled_is_said_and_the_fit_goes_on(what):
    program, its_guide, why = REFUSED[what]
    with pytest.warns(UserWarning, match=f"compile=True: the fit runs eagerly: .*{why}"):
        other = fitted(lambda: (program, its_guide, (Y,)), compile=True, steps=20)
    assert len(other.history.bound) == 20
    if what != "a Python counter":  # which has counted the run that was written down
        same(fitted(lambda: (program, its_guide, (Y,)), steps=20), other)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"optimizer": torch.optim.Rprop}, "this one is Rprop"),
        ({"optimizer": pyro.optim.Adam({"lr": 0.1})}, "is Adam of pyro.optim"),
    ],
)
def test_other_optimisers_are_said_to_have_no_compiled_form(options, why):
    with pytest.warns(UserWarning, match=why):
        other = fitted(simple, compile=True, steps=5, **options)
    same(fitted(simple, steps=5, **options), other)


def minibatches(size=4, shuffle=True, collate=None):
    """Ten rows, whose last batch is smaller."""

    def make():
        rows = torch.linspace(-1, 2, 10, dtype=torch.get_default_dtype())
        own = functools.partial(rows_model, size=10)
        loader = DataLoader(rows, batch_size=size, shuffle=shuffle, collate_fn=collate)
        return own, guide, loader

    return make


def fitted_to_batches(make, **options):
    pyro.clear_param_store()
    return fit(*make(), **{**OPTIONS, **options})


@pytest.mark.usefixtures("interpreted", "unchecked")
@pytest.mark.parametrize("rare", [2, 20])
def test_minibatches_take_the_same_steps_the_smaller_last_one_included(rare, double, eager_steps, monkeypatch):
    monkeypatch.setattr(fetched, "RARE", rare)
    one = fitted_to_batches(minibatches(), steps=100)
    eager_steps[0] = 0
    other = fitted_to_batches(minibatches(), steps=100, compile=True)
    assert eager_steps == [1 + (33 if rare == 2 else 0)]  # every third step is on the smaller batch
    close(one, other, 1e-10)


@pytest.mark.usefixtures("interpreted")
def test_the_first_two_steps_on_every_layout_of_minibatches_are_checked(eager_steps, monkeypatch):
    monkeypatch.setattr(compiled, "CHECKED", (1,))
    fitted_to_batches(minibatches(), steps=30, compile=True)
    assert eager_steps == [1 + 2 + 2]


@pytest.mark.usefixtures("interpreted", "unchecked")
def test_layouts_beyond_a_few_stay_eager(double, monkeypatch):
    monkeypatch.setattr(compiled, "LAYOUTS", 1)
    close(*(fitted_to_batches(minibatches(), steps=40, compile=compile) for compile in (False, True)), 1e-10)


@pytest.mark.usefixtures("interpreted", "unchecked")
def test_a_fault_on_a_minibatch_is_found_on_that_batch(double, eager_steps):
    def broken(rows):
        batch = torch.stack(rows)
        return 1e200 * batch if bool((batch > 1.9).any()) else batch

    errors = []
    for compile in (None, True):
        with pytest.raises(DivergedError) as caught:
            fitted_to_batches(minibatches(shuffle=False, size=2, collate=broken), steps=40, compile=compile)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(
    ("every", "blocks"),
    [pytest.param(25, 20, marks=pytest.mark.slow), pytest.param(32, 25, marks=pytest.mark.slow), (10, 14)],
)
def test_a_compiled_fit_to_minibatches_goes_on_from_a_checkpoint(every, blocks, tmp_path, double):
    path = tmp_path / "run.safetensors"
    whole = fitted_to_batches(minibatches(), steps=60, compile=True)
    stopped = fitted_to_batches(minibatches(), steps=60, compile=True, checkpoint=path, checkpoint_every=25)
    close(whole, stopped, 1e-10)
    with pytest.MonkeyPatch.context() as patch:
        original, left = block.Block.run, [blocks]

        def dying(self, *args):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return original(self, *args)

        patch.setattr(block.Block, "run", dying)
        with pytest.raises(FitInterrupted):
            fitted_to_batches(minibatches(), compile=True, steps=60, checkpoint=path, checkpoint_every=every)
    same(whole, fitted_to_batches(minibatches(), compile=True, steps=60, resume=path))


def test_without_a_compiler_the_fit_goes_on_and_says_so(monkeypatch):
    def missing(*_, **__):
        raise RuntimeError("No working C++ compiler found\nand much more")

    monkeypatch.setenv("PYRO_VAE_CACHE", "")
    monkeypatch.setattr(building, "inductor", missing)
    with pytest.warns(UserWarning, match="No working C\\+\\+ compiler found\\)"):
        other = fitted(simple, compile=True, steps=5)
    same(fitted(simple, steps=5), other)


def climbing(y):
    """Its parameter is driven to 1, and beyond it there is no square root."""
    pyro.sample("z", dist.Normal(0.0, 1.0))
    edge = pyro.param("edge", lambda: torch.tensor(0.0))
    pyro.factor("climb", -((1 - edge) ** 0.5))


@pytest.mark.usefixtures("interpreted")
def test_a_fault_inside_a_block_is_told_as_the_eager_fit_tells_it(monkeypatch):
    monkeypatch.setattr(compiled, "CHECKED", (1,))
    errors = []
    for compile in (None, True):
        with pytest.raises(DivergedError) as caught:
            fitted(lambda: (climbing, guide, (Y,)), compile=compile, steps=200)
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    close(errors[0].fit, errors[1].fit, 1e-5)


@pytest.mark.usefixtures("interpreted", "unchecked")
def test_an_interrupt_keeps_the_steps_of_the_blocks_before(monkeypatch):
    original, drawn = noise.Noise.draw, [0]

    def dying(self, steps):
        drawn[0] += 1
        if drawn[0] > 5:
            raise KeyboardInterrupt
        original(self, steps)

    monkeypatch.setattr(noise.Noise, "draw", dying)
    with pytest.raises(FitInterrupted) as caught:
        fitted(simple, compile=True, steps=200)
    taken = len(caught.value.fit.history.bound)
    assert 1 < taken < 200
    monkeypatch.undo()
    whole = fitted(simple, steps=200)
    np.testing.assert_allclose(caught.value.fit.history.bound, whole.history.bound[:taken], rtol=1e-5)


@pytest.mark.usefixtures("interpreted")
def test_a_compiled_fit_goes_on_from_a_checkpoint(tmp_path, double):
    path = tmp_path / "run.safetensors"
    whole = fitted(simple, compile=True, steps=60)
    original = block.Block.run
    with pytest.MonkeyPatch.context() as patch:
        left = [25]

        def dying(self, factors, *rest):
            left[0] -= len(factors)
            if left[0] < 0:
                raise KeyboardInterrupt
            return original(self, factors, *rest)

        patch.setattr(block.Block, "run", dying)
        with pytest.raises(FitInterrupted):
            fitted(simple, compile=True, steps=60, checkpoint=path, checkpoint_every=10)
    torch.rand(3)  # another process has another random state
    same(whole, fitted(simple, compile=True, steps=60, resume=path))


@pytest.mark.usefixtures("interpreted")
def test_every_start_is_compiled_and_the_random_state_left_alone():
    before = torch.get_rng_state()
    close(*both(simple, steps=12, restarts=2), 1e-5)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
def test_a_compiled_fit_finds_the_posterior():
    result = fitted(simple, compile=True, steps=1500, num_particles=16, stop="auto")
    assert result.params["loc"].item() == pytest.approx(Y.sum().item() / 6.25, abs=0.02)


@pytest.mark.usefixtures("interpreted", "unchecked")
def test_the_tail_average_and_the_last_good_values_are_the_eager_ones(double):
    plans = [StepPlan(1.0, False)] * 5 + [StepPlan(0.5, True)] * 4 + [StepPlan(0.25, False), StepPlan(0.25, True)]
    states = []
    for wrap in (lambda eager: eager, compiled.CompiledStepper):
        pyro.clear_param_store()
        pyro.set_rng_seed(1)
        ready = prepare(model, guide, Y.double(), elbo_from(None, 4, None))
        state = StepState(dict(ready.params), optimizer_from("adam")())
        with pyro.validation_enabled(False):
            taken, fault = wrap(EagerStepper(ready.objective)).advance(state, ready.batches, plans)
        assert fault is None
        assert [one.learning_rate for one in taken] == [0.05 * plan.factor for plan in plans]
        states.append(state)
    one, other = states
    assert one.average.counts == other.average.counts == {"loc": 5, "scale": 5}
    for name in ("loc", "scale"):
        torch.testing.assert_close(other.average.values[name], one.average.values[name], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(other.good[name], one.good[name], rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("interpreted", "unchecked")
def test_what_is_written_to_parameters_between_two_blocks_counts():
    """The state stays in a block while nothing else writes to it."""
    ready = prepare(model, guide, Y, elbo_from(None, 4, None))
    state = StepState(dict(ready.params), optimizer_from("adam")())
    stepper = compiled.CompiledStepper(EagerStepper(ready.objective))
    plans = [StepPlan(1.0, False)] * 6
    with pyro.validation_enabled(False):
        stepper.advance(state, ready.batches, plans)
        stepper.advance(state, ready.batches, plans)
        assert abs(state.params["loc"].item()) < 1
        with torch.no_grad():
            state.params["loc"].fill_(100.0)
        stepper.advance(state, ready.batches, plans)
    assert 99 < state.params["loc"].item() < 100


@pytest.mark.usefixtures("interpreted")
def test_long_fits_are_compiled_unasked_and_without_a_word(monkeypatch, eager_steps):
    monkeypatch.setattr(compiled, "CHECKED", ())
    monkeypatch.delenv("PYRO_VAE_COMPILE")
    monkeypatch.setattr(opts, "WORTH_COMPILING", 30)
    fitted(simple, steps=30)
    assert eager_steps == [1]
    fitted(simple, steps=29)
    assert eager_steps == [1 + 29]
    fitted(simple, steps=30, compile=False)
    assert eager_steps == [1 + 29 + 30]
    fitted(lambda: (model, branching_guide, (Y,)), steps=30)  # a warning would be an error
    assert eager_steps == [1 + 29 + 30 + 30]
    monkeypatch.setenv("PYRO_VAE_COMPILE", "0")
    fitted(simple, steps=30)
    assert eager_steps == [1 + 29 + 30 + 30 + 30]


def listening_model(y):
    """A likelihood that lies outside of torch, and is the same number for ever once it is written down."""
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    pyro.factor("outside", torch.as_tensor(np.asarray(-0.5 * (z.detach().numpy() - 2.0) ** 2)))


def direct_guide(y):
    loc = pyro.param("loc", lambda: torch.tensor(0.0))
    pyro.sample("z", dist.Normal(loc, 1.0).has_rsample_(False))


@pytest.mark.usefixtures("interpreted")
def test_numbers_that_are_baked_in_are_found_out_at_the_first_compiled_step(eager_steps):
    options = {"steps": 30, "estimator": "score-function:leave-one-out"}
    with pytest.warns(UserWarning, match="differs from the eager one"):
        other = fitted(lambda: (listening_model, direct_guide, (Y,)), compile=True, **options)
    same(fitted(lambda: (listening_model, direct_guide, (Y,)), **options), other)


def rows_in_one_buffer():
    """Ten rows, whose loader fills the same memory for every batch."""
    rows, buffer = torch.linspace(-1, 2, 10, dtype=torch.get_default_dtype()), torch.empty(2)
    buffer = buffer.to(rows)
    own = functools.partial(rows_model, size=10)
    return own, guide, DataLoader(rows, batch_size=2, collate_fn=lambda given: torch.stack(given, out=buffer))


def noisy_rows():
    """Ten rows, to which the loader adds noise."""
    rows = torch.linspace(-1, 2, 10, dtype=torch.get_default_dtype())
    own = functools.partial(rows_model, size=10)
    return own, guide, DataLoader(rows, batch_size=2, collate_fn=lambda given: torch.stack(given) + torch.rand(2))


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("make", [rows_in_one_buffer, noisy_rows])
def test_batches_taken_ahead_are_those_of_the_eager_steps(make, double):
    close(*(fitted_to_batches(make, steps=60, compile=compile) for compile in (False, True)), 1e-10)


@pytest.mark.usefixtures("interpreted")
def test_batches_that_hold_objects_are_not_compiled():
    def make():
        rows = torch.linspace(-1, 2, 10)
        loader = DataLoader(rows, batch_size=2, collate_fn=lambda given: (torch.stack(given), np.array([10])))
        return (lambda batch, size: rows_model(batch, size=int(size[0]))), (lambda batch, size: guide(batch)), loader

    with pytest.warns(UserWarning, match="the batches hold a ndarray"):
        other = fitted_to_batches(make, steps=20, compile=True)
    same(fitted_to_batches(make, steps=20), other)


@pytest.mark.usefixtures("interpreted")
def test_a_parameter_that_turns_up_later_ends_the_compiled_steps(monkeypatch):
    monkeypatch.setattr(fetched, "RARE", 2)

    def growing(batch):
        z = pyro.sample("z", dist.Normal(0.0, 2.0))
        shift = pyro.param(f"shift{len(batch)}", lambda: torch.tensor(0.0))
        with pyro.plate("data", 10, subsample=batch):
            pyro.sample("y", dist.Normal(z + shift, 1.0), obs=batch)

    def make():
        return growing, guide, DataLoader(torch.linspace(-1, 2, 10), batch_size=4)

    with pytest.warns(UserWarning, match="a parameter turned up after the step was compiled"):
        other = fitted_to_batches(make, steps=30, compile=True)
    close(fitted_to_batches(make, steps=30), other, 1e-5)


@pytest.mark.usefixtures("interpreted")
def test_linear_algebra_that_fails_in_a_block_is_told_as_the_eager_fit_tells_it():
    def shrinking():
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        a, one = pyro.param("a", lambda: torch.tensor(0.0)), torch.ones(())
        root = torch.linalg.cholesky(torch.stack([torch.stack([one, a]), torch.stack([a, one])]))
        pyro.factor("up", 3.0 * a + 0 * z + 0.1 * root.sum())

    said = []
    for compile in (False, True):
        pyro.clear_param_store()
        with pytest.raises(DivergedError) as caught:
            fit(shrinking, "auto_normal", None, **{**OPTIONS, "steps": 60, "compile": compile})
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_an_optimiser_with_hooks_is_not_compiled():
    def hooked(leaves):
        optimizer = torch.optim.Adam(leaves, lr=0.05)
        optimizer.register_step_post_hook(lambda *_: None)
        return optimizer

    with pytest.warns(UserWarning, match="has hooks"):
        fitted(simple, compile=True, steps=5, optimizer=hooked)
