"""Which batches of a ``DataLoader`` one of several processes takes, reached without reading the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import pyro
import torch
from torch.utils.data import DataLoader, IterableDataset

from pyro_vae.training.randomness import kept_randomness

_EPOCHS = 1_000_003  # a prime: the seeds of two runs' epochs do not coincide soon


@dataclass(frozen=True)
class Share:
    """Process ``rank`` of ``size``: of the batches, counted through all epochs, it takes every ``size``-th.

    So two processes see in one step what one process sees in two, and no row is left out or seen twice. ``seed`` is
    the same in every process: each draws the order of an epoch from it, and finds the same one.
    """

    rank: int = 0
    size: int = 1
    seed: int = 0

    def order(self, epoch: int) -> AbstractContextManager[None]:
        """Random numbers for the order of an epoch, alike in every process; alone, the program's own go on."""
        return nullcontext() if self.size == 1 else _seeded((self.seed + _EPOCHS * epoch) % 2**31)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with kept_randomness():
        pyro.set_rng_seed(seed)
        yield


def epoch_of(loader: DataLoader, share: Share, epoch: int, offset: int, skip: int) -> Iterator[Any]:
    """The batches ``offset``, ``offset + size``, ... of an epoch of the loader, without the first ``skip`` of them.

    Of a dataset with numbered rows only those batches are read; an iterable one is read through.
    """
    start, stride = offset + skip * share.size, share.size
    numbered = loader.batch_sampler is not None and _is_numbered(loader)
    # What workers draw depends on the batches that they have made: with workers, skipped batches are made again.
    if not numbered or (stride == 1 and (skip == 0 or loader.num_workers > 0)):
        with share.order(epoch):
            batches = iter(loader)
        return islice(batches, start, None, stride)
    sampler: Any = loader.batch_sampler
    with share.order(epoch):
        # As iter(loader) does: a seed for workers first, and with the first batch all that the order depends on.
        seed = int(torch.empty((), dtype=torch.int64).random_(generator=loader.generator))
        rows = iter(sampler)
        first = list(islice(rows, 1))
    return iter(_reading(loader, islice(chain(first, rows), start, None, stride), seed))


def _is_numbered(loader: DataLoader) -> bool:
    return not isinstance(loader.dataset, IterableDataset)


class _Rows:
    """Row numbers of each batch, once."""

    def __init__(self, rows: Iterable[Any]):
        self.rows = rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)


def _reading(loader: DataLoader, rows: Iterable[Any], seed: int) -> DataLoader:
    """The loader with other batches."""
    return DataLoader(
        loader.dataset,
        batch_sampler=_Rows(rows),  # pyright: ignore[reportArgumentType]
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=torch.Generator().manual_seed(seed),
        prefetch_factor=loader.prefetch_factor,
    )
