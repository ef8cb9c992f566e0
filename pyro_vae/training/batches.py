"""The data of a fit, step by step: the same arguments every time, or the minibatches of a ``DataLoader``.

Both can say where they are, so that a resumed run sees the batches that the interrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor
from torch.utils.data import DataLoader

from pyro_vae.errors import DataError, OptionError
from pyro_vae.particles.calls import call_arguments
from pyro_vae.training.randomness import kept_randomness, random_state, restore_random_state
from pyro_vae.training.storage import to_device

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

    def __init__(self, data: Any, device: Any = None):
        args, kwargs = call_arguments(data)
        self.arguments: Arguments = (to_device(args, device), to_device(kwargs, device))

    def next(self) -> Arguments:
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
    a state of its own is not rewound.
    """

    def __init__(self, loader: DataLoader, device: Any = None):
        self.loader = loader
        self.device = device
        self.per_epoch: int | None = len(loader)
        if self.per_epoch == 0:
            raise DataError("data: the DataLoader has no batches. Give it a dataset with rows, or drop_last=False.")
        self.iterator: Iterator | None = None
        self.began: dict[str, Any] = {}
        self.taken = 0

    def next(self) -> Arguments:
        if self.iterator is None or self.taken == self.per_epoch:
            self._begin()
        assert self.iterator is not None
        try:
            batch = next(self.iterator)
        except StopIteration as error:
            raise DataError(f"data: the DataLoader said {self.per_epoch} batches and gave {self.taken}.") from error
        self.taken += 1
        args, kwargs = call_arguments(batch)
        return to_device(args, self.device), to_device(kwargs, self.device)

    def peek(self) -> Arguments:
        own = self._own_generator()
        with kept_randomness():
            args, kwargs = call_arguments(next(iter(self.loader)))
        if own is not None:
            self.loader.generator.set_state(own)
        return to_device(args, self.device), to_device(kwargs, self.device)

    def _begin(self) -> None:
        self.began = {"random": random_state(), "own": self._own_generator()}
        self.iterator = iter(self.loader)
        self.taken = 0

    def _own_generator(self) -> Tensor | None:
        generator = self.loader.generator
        return None if generator is None else generator.get_state()

    @property
    def epoch_ended(self) -> bool:
        return self.taken == self.per_epoch

    def state(self) -> dict[str, Any]:
        return {"began": self.began, "taken": self.taken, "own": self._own_generator()}

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
        self._begin()
        assert self.iterator is not None
        for _ in range(state["taken"]):
            next(self.iterator)
        self.taken = state["taken"]


def batches_from(data: Any, device: Any = None) -> WholeData | Minibatches:
    """The batches of what a person gave as ``data``."""
    return Minibatches(data, device) if isinstance(data, DataLoader) else WholeData(data, device)


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
