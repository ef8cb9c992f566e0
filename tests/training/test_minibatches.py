"""``DataLoader``s: epochs, the smaller last batch, the right scale, and the line to write when it is wrong."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from pyro_vae import fit
from pyro_vae.errors import DataError, ModelError, OptionError
from pyro_vae.training.batches import Minibatches, WholeData, whole_dataset
from tests.training.programs import exact, guide, rows_model

N = 23
ROWS = torch.linspace(-1, 3, N)
QUICK = {"stop": None, "seed": 0}


def loader(batch_size=5, **options):
    return DataLoader(TensorDataset(ROWS), batch_size=batch_size, **options)


def scaled_model(batch):
    rows_model(batch, N)


def test_an_epoch_is_every_row_once_and_the_last_batch_is_smaller():
    seen = []

    def watched(batch):
        seen.append(batch)
        rows_model(batch, N)

    result = fit(watched, guide, loader(shuffle=True), epochs=3, num_particles=2, **QUICK)
    assert result.steps == 15
    steps = [batch for batch in seen if batch.shape[0] in (5, 3)]
    first = next(i for i in range(len(steps)) if [len(b) for b in steps[i : i + 5]] == [5, 5, 5, 5, 3])
    torch.testing.assert_close(torch.cat(steps[first : first + 5]).sort().values, ROWS)


@pytest.mark.slow
def test_minibatches_reach_the_posterior_of_all_rows():
    # Subsampling noise of sd .3 per step is averaged over the tail of 240 steps, which are correlated.
    mean, sd, evidence = exact(ROWS)
    result = fit(scaled_model, guide, loader(6, shuffle=True), steps=1200, learning_rate=0.02, **QUICK)
    assert result.params["loc"].item() == pytest.approx(mean, abs=0.1)
    assert result.params["scale"].item() == pytest.approx(sd, rel=0.15)
    assert result.bound == pytest.approx(evidence, abs=4 * result.bound_se + 0.1)


def test_the_bound_is_that_of_all_rows_batch_by_batch():
    # Every epoch adds up to the bound on all rows, whatever the batches' sizes.
    seen = fit(scaled_model, guide, loader(), steps=1, num_particles=512, seed=0, stop=None, learning_rate=1e-9)
    pyro.clear_param_store()
    whole = fit(scaled_model, guide, ROWS, steps=1, num_particles=512, seed=0, stop=None, learning_rate=1e-9)
    assert seen.bound == pytest.approx(whole.bound, abs=4 * (seen.bound_se + whole.bound_se) + 1.0)


@pytest.mark.parametrize("plate", [True, False])
def test_a_plate_of_the_batchs_length_beside_a_global_latent_is_an_error(plate):
    def program(batch):
        z = pyro.sample("z", dist.Normal(0.0, 2.0))
        if plate:
            with pyro.plate("rows", len(batch)):
                pyro.sample("y", dist.Normal(z, 1.0), obs=batch)
        else:
            pyro.sample("y", dist.Normal(z[..., None], 1.0).expand([*z.shape, len(batch)]).to_event(1), obs=batch)

    name = "rows" if plate else "data"
    with pytest.raises(ModelError, match=rf'prior of \'z\'.*pyro.plate\("{name}", size=23, subsample=batch\)'):
        fit(program, guide, loader(), epochs=1, **QUICK)
    fit(program, guide, loader(N), epochs=1, **QUICK)  # one batch is all rows: nothing is counted twice


def test_a_plate_of_the_batchs_length_is_fine_when_all_latents_are_inside():
    def program(batch):
        with pyro.plate("rows", len(batch)):
            z = pyro.sample("z", dist.Normal(0.0, 2.0))
            pyro.sample("y", dist.Normal(z, 1.0), obs=batch)

    def amortised(batch):
        slope = pyro.param("slope", lambda: torch.tensor(0.5))
        with pyro.plate("rows", len(batch)):
            pyro.sample("z", dist.Normal(slope * batch, 0.9))

    result = fit(program, amortised, loader(), epochs=30, **QUICK)
    assert result.params["slope"].item() == pytest.approx(0.8, abs=0.15)


@pytest.mark.parametrize("rows", [[ROWS], [ROWS, ROWS * 2]], ids=["one tensor", "two tensors"])
def test_batches_become_arguments(rows):
    args, kwargs = Minibatches(DataLoader(TensorDataset(*rows), batch_size=4)).next()
    assert len(args) == len(rows)
    assert not kwargs


def test_batches_of_dicts_become_keywords():
    data = [{"x": row, "y": 2 * row} for row in ROWS]
    args, kwargs = Minibatches(DataLoader(data, batch_size=4)).next()  # pyright: ignore[reportArgumentType]
    assert not args
    assert torch.equal(kwargs["y"], 2 * ROWS[:4])


def test_peeking_leaves_position_and_randomness_alone():
    generator = torch.Generator().manual_seed(0)
    batches = Minibatches(loader(shuffle=True, generator=generator))
    before, own = torch.get_rng_state(), generator.get_state()
    batches.peek()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(generator.get_state(), own)
    assert not batches.began


def test_position_is_restored_in_the_middle_of_an_epoch():
    one = Minibatches(loader(shuffle=True))
    for _ in range(7):
        one.next()
    state = one.state()
    random = torch.get_rng_state()
    expected = [one.next()[0][0] for _ in range(3)]
    other = Minibatches(loader(shuffle=True))
    other.restore(state)
    torch.set_rng_state(random)
    for batch in expected:
        assert torch.equal(other.next()[0][0], batch)


def test_all_rows_as_one_batch():
    (rows,) = whole_dataset(loader())
    assert torch.equal(rows, ROWS)


def test_data_that_cannot_be_used_are_said():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(ROWS)

    with pytest.raises(DataError, match="no batches"):
        fit(scaled_model, guide, DataLoader(TensorDataset(ROWS[:2]), batch_size=5, drop_last=True), **QUICK)
    with pytest.raises(DataError, match="no length"):
        whole_dataset(DataLoader(Stream(), batch_size=5))
    with pytest.raises(OptionError, match="only a DataLoader has epochs"):
        fit(scaled_model, guide, ROWS, epochs=2, **QUICK)


def test_whole_data_are_the_same_arguments_every_time():
    data = WholeData({"batch": ROWS})
    assert data.next() == data.peek() == ((), {"batch": ROWS})
    assert data.epoch_ended
