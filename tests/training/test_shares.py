"""Iterable datasets; and batches shared out among processes: none left out, none twice, none read for nothing."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from pyro_vae import fit
from pyro_vae.errors import DataError, OptionError
from pyro_vae.training.batches import Minibatches
from pyro_vae.training.shares import Share
from tests.training.programs import guide, rows_model

N = 23  # five batches of 5, the last smaller


class Numbered(Dataset):
    def __init__(self):
        self.read = []

    def __len__(self):
        return N

    def __getitem__(self, row):
        self.read.append(row)
        return torch.tensor(float(row))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(torch.arange(float(N)))


class LongStream(Stream):
    def __len__(self):
        return N


def numbered():
    return DataLoader(Numbered(), batch_size=5, shuffle=True, generator=torch.Generator().manual_seed(3))


def stream():
    return DataLoader(Stream(), batch_size=5)


def long_stream():
    return DataLoader(LongStream(), batch_size=5)


def taken(batches, count):
    return [batches.next()[0][0] for _ in range(count)]


@pytest.mark.parametrize("make", [numbered, stream, long_stream])
def test_alone_the_batches_are_the_loaders_own_epoch_after_epoch(make):
    batches, plain = Minibatches(make()), make()
    expected = [batch for _ in range(3) for batch in plain]
    ended = []
    for batch in expected:
        assert torch.equal(batches.next()[0][0], batch)
        ended.append((batches.epoch_ended, batches.epochs))
    assert ended == [(index % 5 == 4, (index + 1) // 5) for index in range(15)]


@pytest.mark.parametrize("make", [numbered, long_stream])
@pytest.mark.parametrize("size", [2, 3, 7])
def test_processes_take_turns_through_all_epochs(make, size):
    plain = make()
    expected = [batch for _ in range(5) for batch in plain]
    shares = [Minibatches(make(), share=Share(rank, size)) for rank in range(size)]
    for start in range(0, len(expected) - size, size):
        for rank in range(size):
            assert torch.equal(shares[rank].next()[0][0], expected[start + rank])
    assert len({batches.epochs for batches in shares}) == 1  # an optimiser's own schedule moves on together


def test_a_stream_of_unknown_length_is_taken_in_turns_within_each_epoch():
    plain = list(stream())
    first, second = (Minibatches(stream(), share=Share(rank, 2)) for rank in range(2))
    for index in (0, 2, 4, 0, 2, 4):
        assert torch.equal(first.next()[0][0], plain[index])
    for index in (1, 3, 1, 3):
        assert torch.equal(second.next()[0][0], plain[index])


def test_processes_without_a_generator_of_the_loader_find_the_same_order_and_keep_their_own_random_numbers():
    made = [DataLoader(Numbered(), batch_size=5, shuffle=True) for _ in range(2)]
    one, other = (Minibatches(loader, share=Share(rank, 2, seed=9)) for rank, loader in enumerate(made))
    found, orders = [], []
    for _ in range(10):
        before = torch.rand(3) if len(found) % 2 else torch.rand(1)  # the two draw differently
        state = torch.get_rng_state()
        found += [one.next()[0][0], other.next()[0][0]]
        assert torch.equal(torch.get_rng_state(), state), before
    for epoch in range(4):
        rows = torch.cat(found[5 * epoch : 5 * epoch + 5])
        orders.append(tuple(rows.tolist()))
        assert torch.equal(rows.sort().values, torch.arange(float(N)))
    assert len(set(orders)) == 4


def test_a_process_reads_only_its_own_rows():
    loader = numbered()
    batches = Minibatches(loader, share=Share(1, 2))
    rows = torch.cat(taken(batches, 2))
    assert loader.dataset.read == rows.int().tolist()


def test_a_resumed_process_does_not_read_what_it_had_read():
    one = Minibatches(numbered())
    taken(one, 7)
    state, expected = one.state(), taken(one, 4)
    loader = numbered()
    other = Minibatches(loader)
    other.restore(state)
    assert loader.dataset.read == []
    for batch in expected:
        assert torch.equal(other.next()[0][0], batch)


@pytest.mark.parametrize("make", [numbered, stream, long_stream])
@pytest.mark.parametrize("share", [Share(), Share(1, 2, seed=4)])
@pytest.mark.parametrize("at", [0, 1, 4, 5, 11])
def test_position_is_restored_anywhere(make, share, at):
    one = Minibatches(make(), share=share)
    taken(one, at)
    state, expected = one.state(), taken(one, 12)
    other = Minibatches(make(), share=share)
    other.restore(state)
    for batch in expected:
        assert torch.equal(other.next()[0][0], batch)
    assert other.epochs == one.epochs


def test_an_iterable_dataset_is_fitted_by_steps_and_by_epochs_only_where_it_has_a_length():
    def model(batch):
        rows_model(batch, N)

    options = {"seed": 0, "num_particles": 2, "stop": None}
    assert fit(model, guide, stream(), steps=7, **options).steps == 7
    assert fit(model, guide, long_stream(), epochs=2, **options).steps == 10
    with pytest.raises(OptionError, match=r"epochs=2: .*__len__"):
        fit(model, guide, stream(), epochs=2, **options)


def test_an_iterable_that_is_spent_or_empty_is_refused():
    class Spent(IterableDataset):
        rows = iter(torch.arange(10.0))

        def __iter__(self):
            return self.rows

    batches = Minibatches(DataLoader(Spent(), batch_size=5))
    taken(batches, 2)
    with pytest.raises(DataError, match=r"no batch in epoch 2\. Its __iter__ must start anew"):
        batches.next()
    with pytest.raises(DataError, match="gave no batch"):
        batches.peek()
