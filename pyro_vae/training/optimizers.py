"""Optimisers by choice: a name, a ``torch.optim`` class or factory, or an optimiser of ``pyro.optim``.

A fit sees each as a :class:`StepOptimizer`: named gradients in, parameters moved in place, its state a tree that can
be saved.
"""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
from pyro.optim import PyroLRScheduler, PyroOptim
from pyro.optim import optim as pyro_optim
from pyro.optim.clipped_adam import ClippedAdam
from torch import Tensor
from torch.optim import Optimizer

from pyro_vae.errors import OptionError

Gradients = Mapping[str, Tensor | None]

NAMES: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "nadam": (torch.optim.NAdam, {}),
    "radam": (torch.optim.RAdam, {}),
    "adamax": (torch.optim.Adamax, {}),
    "adagrad": (torch.optim.Adagrad, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9}),
    "clipped_adam": (ClippedAdam, {}),
}
# Steps of an adaptive optimiser are about its learning rate, whatever the gradient's size; SGD's are not.
_RATES = {"sgd": 0.001, "adagrad": 0.2, "rmsprop": 0.02}
_RATE = 0.05
_FUSED = (torch.optim.Adam, torch.optim.AdamW)


class StepOptimizer(Protocol):
    """What the loop needs of an optimiser."""

    own_schedule: bool

    def step(self, params: Mapping[str, Tensor], grads: Gradients, factor: float) -> None:
        """Move the parameters in place. ``factor`` multiplies the initial learning rates."""
        ...

    def epoch(self) -> None:
        """An epoch (or a step, without minibatches) is over: schedulers that the optimiser owns move on."""
        ...

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step, of the first parameter group."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, as a tree."""
        ...

    def restore(self, params: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`."""
        ...


class TorchOptimizer:
    """One ``torch.optim`` optimiser over all parameters; parameters that turn up later are added."""

    own_schedule = False

    def __init__(self, make: Callable[[list[Tensor]], Optimizer]):
        self.make = make
        self.torch: Optimizer | None = None
        self.rates: list[float] = []
        self.admitted: list[list[str]] = []

    def step(self, params: Mapping[str, Tensor], grads: Gradients, factor: float) -> None:
        known = sum(len(names) for names in self.admitted)
        if len(params) > known:
            self._admit(params, list(params)[known:])
        assert self.torch is not None
        self.set_factor(factor)
        for name, leaf in params.items():
            leaf.grad = grads.get(name)
        self.torch.step()
        for leaf in params.values():
            leaf.grad = None

    def set_factor(self, factor: float) -> None:
        """Set the learning rates to ``factor`` times the initial ones."""
        assert self.torch is not None
        for group, rate in zip(self.torch.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def rate(self, factor: float) -> float:
        """The learning rate of the first parameter group under that factor."""
        return self.rates[0] * factor

    def _admit(self, params: Mapping[str, Tensor], names: list[str]) -> None:
        self.admitted.append(names)
        leaves = [params[name] for name in names]
        if self.torch is None:
            self.torch = _made(self.make, leaves)
            self.rates = [float(group["lr"]) for group in self.torch.param_groups]
            return
        settings = {key: value for key, value in self.torch.param_groups[0].items() if key != "params"}
        self.torch.add_param_group({**settings, "params": leaves})
        self.rates.append(self.rates[0])

    def epoch(self) -> None:
        return

    @property
    def learning_rate(self) -> float:
        return float(self.torch.param_groups[0]["lr"]) if self.torch is not None else float("nan")

    def state(self) -> dict[str, Any]:
        torch_state = self.torch.state_dict() if self.torch is not None else None
        return {"admitted": self.admitted, "rates": self.rates, "torch": torch_state}

    def restore(self, params: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        for names in state["admitted"]:
            self._admit(params, list(names))
        self.rates = list(state["rates"])
        if self.torch is not None:
            self.torch.load_state_dict(state["torch"])


def _made(make: Callable[[list[Tensor]], Optimizer], leaves: list[Tensor]) -> Optimizer:
    try:
        made = make(leaves)
    except TypeError as error:
        raise OptionError(
            f"optimizer: the factory must take a list of parameters and nothing else; {error}."
        ) from error
    if not isinstance(made, Optimizer):
        raise OptionError(
            f"optimizer: expected the factory to return a torch.optim.Optimizer, got {type(made).__name__}."
        )
    return made


class PyroOptimizer:
    """An optimiser of ``pyro.optim``, with its own learning rates, clipping and schedule.

    The user's object is not changed.
    """

    own_schedule = True

    def __init__(self, optimizer: PyroOptim):
        self.pyro = copy.copy(optimizer)
        self.pyro.optim_objs, self.pyro.grad_clip, self.pyro._state_waiting_to_be_consumed = {}, {}, {}
        self.rate = float("nan")
        self.stepped: dict[str, Tensor] = {}

    def step(self, params: Mapping[str, Tensor], grads: Gradients, factor: float) -> None:
        named = {name: leaf for name, leaf in params.items() if grads.get(name) is not None}
        self.stepped.update(named)
        used = list(named.values())
        for name, leaf in params.items():
            leaf.grad = grads.get(name)
        self.pyro(used)
        for leaf in used:
            leaf.grad = None
        if used:
            self.rate = float(_inner(self.pyro.optim_objs[used[0]]).param_groups[0]["lr"])

    def epoch(self) -> None:
        if isinstance(self.pyro, PyroLRScheduler):
            self.pyro.step()

    @property
    def learning_rate(self) -> float:
        return self.rate

    def state(self) -> dict[str, Any]:
        states = {name: pyro_optim._get_state_dict(self.pyro.optim_objs[leaf]) for name, leaf in self.stepped.items()}
        return {"pyro": states, "rate": self.rate}

    def restore(self, params: Mapping[str, Tensor], state: dict[str, Any]) -> None:
        for name, saved in state["pyro"].items():
            leaf = self.stepped[name] = params[name]
            self.pyro.optim_objs[leaf] = self.pyro._get_optim(leaf)
            self.pyro.grad_clip[leaf] = self.pyro._get_grad_clip(leaf)  # pyright: ignore[reportArgumentType]
            pyro_optim._load_state_dict(self.pyro.optim_objs[leaf], saved)
        self.rate = state["rate"]


def _inner(optimizer: Any) -> Optimizer:
    return getattr(optimizer, "optimizer", optimizer)


def optimizer_from(
    choice: str | Callable | PyroOptim, learning_rate: float | None = None
) -> Callable[[], StepOptimizer]:
    """A maker of fresh :class:`StepOptimizer` objects, one per start.

    Args:
        choice: a name (``"adam"``, ``"adamw"``, ``"nadam"``, ``"radam"``, ``"adamax"``, ``"adagrad"``, ``"rmsprop"``,
            ``"sgd"``, ``"clipped_adam"``), a class of ``torch.optim``, a factory ``parameters ->
            torch.optim.Optimizer``, or an optimiser of ``pyro.optim``, which brings its own learning rate and
            schedule.
        learning_rate: None means 0.05 for names and classes whose steps are about as long as their learning rate
            (Adam and its relatives), 0.2 for adagrad, 0.02 for rmsprop, 0.001 for sgd; a factory's own rate for a
            factory.

    Raises:
        OptionError: for a name that is not known, with the nearest names, and for a learning rate that cannot be used.
    """
    if learning_rate is not None and not learning_rate > 0:
        raise OptionError(f"learning_rate: expected a positive number, got {learning_rate!r}.")
    if isinstance(choice, PyroOptim):
        if learning_rate is not None:
            raise OptionError(
                "learning_rate: an optimiser of pyro.optim has its own; give it there, as in Adam({'lr': ...})."
            )
        return functools.partial(PyroOptimizer, choice)
    if isinstance(choice, str):
        make = _by_name(choice, learning_rate)
    elif isinstance(choice, type) and issubclass(choice, Optimizer):
        make = _constructor(choice, {"lr": _default_rate(choice) if learning_rate is None else learning_rate})
    elif callable(choice):
        make = choice if learning_rate is None else functools.partial(_with_rate, choice, learning_rate)
    else:
        raise OptionError(
            f"optimizer: expected a name ({', '.join(NAMES)}), a torch.optim class, a factory or a pyro.optim "
            f"optimiser; got {type(choice).__name__}."
        )
    return functools.partial(TorchOptimizer, make)


def _by_name(name: str, learning_rate: float | None) -> Callable[[list[Tensor]], Optimizer]:
    key = name.strip().lower().replace("-", "_")
    if key not in NAMES:
        near = difflib.get_close_matches(key, NAMES, 3) or list(NAMES)
        raise OptionError(f"optimizer {name!r} is not known. Nearest: {', '.join(near)}. All: {', '.join(NAMES)}.")
    kind, settings = NAMES[key]
    return _constructor(kind, {**settings, "lr": _default_rate(kind) if learning_rate is None else learning_rate})


def _default_rate(kind: type[Optimizer]) -> float:
    name = next((name for name, (known, _) in NAMES.items() if known is kind), "")
    return _RATES.get(name, _RATE)


def _constructor(kind: type[Optimizer], settings: dict[str, Any]) -> Callable[[list[Tensor]], Optimizer]:
    def make(leaves: Iterable[Tensor]) -> Optimizer:
        leaves = list(leaves)
        # One fused kernel for all parameters: a third of the time of the loop on small models.
        fused: dict[str, Any] = (
            {"fused": True} if kind in _FUSED and all(leaf.is_floating_point() for leaf in leaves) else {}
        )
        return kind(leaves, **settings, **fused)

    return make


def _with_rate(factory: Callable[[list[Tensor]], Optimizer], learning_rate: float, leaves: list[Tensor]) -> Optimizer:
    made = factory(leaves)
    for group in made.param_groups:
        group["lr"] = learning_rate
    return made
