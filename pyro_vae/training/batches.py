"""The data of a fit, step by step: the same arguments every time, or the minibatches of a ``DataLoader``.

Both can say where they are, so that a resumed run sees the batches that the interrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from torch import Tensor
from torch.utils.data import DataLoader

from pyro_vae.errors import DataError, OptionError
from pyro_vae.particles.calls import call_arguments
from pyro_vae.training.randomness import kept_randomness, random_state, restore_random_state
from pyro_vae.training.shares import Share, epoch_of
from pyro_vae.training.storage import to_device

_NOTHING = object()
Arguments = tuple[tuple, dict[str, Any]]


class Batches(Protocol):
    """Where each step's arguments come from."""

    per_epoch: int | None

    def next(self) -> Arguments:
        """The next step's arguments of model and guide."""
        ...

    def peek(self) -> Arguments:
        """A first batch to look at; the position and the random state stay as they are."""
        ...

    @property
    def epoch_ended(self) -> bool:
        """True when the last batch was the last of its epoch; always, without minibatches."""
        ...

    @property
    def epochs(self) -> int:
        """The epochs that are over, in all processes together; without minibatches, every batch is one."""
        ...

    def state(self) -> dict[str, Any]:
        """The position, as a tree."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        ...


class WholeData:
    """The same arguments at every step."""

    per_epoch: int | None = None
    epoch_ended = True

    def fresh(self) -> WholeData:
        """The same data."""
        return self

    def __init__(self, data: Any, device: Any = None):
        args, kwargs = call_arguments(data)
        self.arguments: Arguments = (to_device(args, device), to_device(kwargs, device))
        self.epochs = 0

    def next(self) -> Arguments:
        self.epochs += 1
        return self.arguments

    def peek(self) -> Arguments:
        return self.arguments

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        return


class Minibatches:
    """A ``DataLoader``'s batches, epoch after epoch, its smaller last batch included.

    The position is kept as the random state in which the epoch began and the number of batches taken since: the order
    of a resumed epoch is drawn again and skipped through. That holds for the loaders that torch makes; a sampler with
    a state of its own is not rewound. ``per_epoch``, the loader's number of batches, is None where it does not say.
    One of several processes takes its :class:`~pyro_vae.training.shares.Share`.
    """

    def __init__(self, loader: DataLoader, device: Any = None, share: Share | None = None):
        self.loader = loader
        self.device = device
        self.share = Share() if share is None else share
        self.per_epoch: int | None = _length(loader)
        if self.per_epoch == 0:
            raise DataError("data: the DataLoader has no batches. Give it a dataset with rows, or drop_last=False.")
        self.iterator: Iterator | None = None
        self.began: dict[str, Any] = {}
        self.taken = self.total = self.epoch = 0
        self.offset = self.share.rank
        self.ahead: list[Any] = []  # the next batch, where only a look at it tells whether the epoch has ended

    def next(self) -> Arguments:
        while self.iterator is None or self.epoch_ended:
            self._begin(following=self.iterator is not None)
        try:
            batch = self.ahead.pop() if self.per_epoch is None else next(self.iterator)
        except StopIteration as error:
            raise DataError(f"data: the DataLoader said {self.per_epoch} batches and gave {self.taken}.") from error
        self.taken += 1
        self.total += 1
        self._look_ahead()
        args, kwargs = call_arguments(batch)
        return to_device(args, self.device), to_device(kwargs, self.device)

    def peek(self) -> Arguments:
        own = self._own_generator()
        with kept_randomness():
            batch = next(iter(self.loader), _NOTHING)
        if batch is _NOTHING:
            raise DataError("data: the DataLoader gave no batch. Give it a dataset with rows.")
        if own is not None:
            self.loader.generator.set_state(own)
        args, kwargs = call_arguments(batch)
        return to_device(args, self.device), to_device(kwargs, self.device)

    def fresh(self) -> Minibatches:
        """The same batches from their beginning."""
        return Minibatches(self.loader, self.device, self.share)

    def _begin(self, *, following: bool = False, skip: int = 0) -> None:
        if following:
            if self.per_epoch is None and self.taken == 0:
                raise DataError(
                    f"data: the iterable dataset gave no batch in epoch {self.epoch + 1}. Its __iter__ must start anew."
                )
            self.offset = (self.offset - (self.per_epoch or 0)) % self.share.size
            self.epoch += 1
        self.began = {"random": random_state(), "own": self._own_generator()}
        self.iterator = epoch_of(self.loader, self.share, self.epoch, self.offset, skip)
        self.taken = skip
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Where that tells whether the epoch has ended; and over its end, as a loop over the loader would.

        A sampler may draw there, and then a generator of the loader's is in every process where it is in one alone.
        """
        assert self.iterator is not None
        if self.per_epoch is None:
            self.ahead = list(islice(self.iterator, 1))
        elif self.epoch_ended:
            next(self.iterator, None)

    def _own_generator(self) -> Tensor | None:
        generator = self.loader.generator
        return None if generator is None else generator.get_state()

    @property
    def epoch_ended(self) -> bool:
        if self.per_epoch is None:
            return not self.ahead
        return self.taken == -(-(self.per_epoch - self.offset) // self.share.size)

    @property
    def epochs(self) -> int:
        """Epochs that are over, for all processes together."""
        if self.per_epoch is None:
            return self.epoch + (self.epoch_ended and self.iterator is not None)
        return self.total * self.share.size // self.per_epoch

    def state(self) -> dict[str, Any]:
        where = {
            "seed": self.share.seed,
            "epoch": self.epoch,
            "offset": self.offset,
            "taken": self.taken,
            "total": self.total,
        }
        return {**where, "began": self.began, "own": self._own_generator()}

    def restore(self, state: dict[str, Any]) -> None:
        """Draw the epoch's order again and skip what was taken.

        Leaves the random state as the epoch's beginning left it.
        """
        if not state["began"]:
            return
        if (state["own"] is None) != (self.loader.generator is None):
            raise OptionError(
                "resume: expected a DataLoader made as for the interrupted run (one has a generator, the other none)."
            )
        restore_random_state(state["began"]["random"])
        if self.loader.generator is not None:
            self.loader.generator.set_state(state["began"]["own"])
        self.share = replace(self.share, seed=state["seed"])
        self.epoch, self.offset = state["epoch"], state["offset"]
        self._begin(skip=state["taken"])
        self.total = state["total"]


def _length(loader: DataLoader) -> int | None:
    try:
        return len(loader)
    except TypeError:  # an iterable dataset that does not say how long it is
        return None


def batches_from(data: Any, device: Any = None, share: Share | None = None) -> WholeData | Minibatches:
    """The batches of what a person gave as ``data``."""
    return Minibatches(data, device, share) if isinstance(data, DataLoader) else WholeData(data, device)


def whole_dataset(loader: DataLoader, device: Any = None) -> Any:
    """All rows of a loader's dataset as one batch, in the dataset's order.

    Raises :class:`~pyro_vae.errors.DataError` when it has no length.
    """
    try:
        rows = len(loader.dataset)  # pyright: ignore[reportArgumentType]
    except TypeError as error:
        raise DataError(
            "data: this DataLoader's dataset has no length; pass data=... with the rows to draw a posterior for."
        ) from error
    collate = loader.collate_fn
    return to_device(collate([loader.dataset[row] for row in range(rows)]), device)
