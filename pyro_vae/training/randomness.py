"""Random numbers of a fit: seeded runs that leave the global generators alone, and their state for checkpoints."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyro
import torch
from torch import Tensor


def random_state() -> dict[str, Any]:
    """The state of every generator that a Pyro program may draw from: torch's (CPU, CUDA), NumPy's, Python's.

    A tree of tensors, numbers and strings, so that it can be written without pickle.
    """
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 - the global generator is the point
    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": {
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": position,
            "has_gauss": has_gauss,
            "cached": cached,
        },
        "python": {"version": version, "internal": torch.tensor(internal, dtype=torch.int64), "gauss": gauss},
    }
    if torch.cuda.is_initialized():
        state["cuda"] = list(torch.cuda.get_rng_state_all())
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Put every generator back to a :func:`random_state`."""
    torch.set_rng_state(state["torch"].cpu())
    kept = state["numpy"]
    keys = kept["keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, kept["position"], kept["has_gauss"], kept["cached"]))  # noqa: NPY002
    kept = state["python"]
    random.setstate((kept["version"], tuple(kept["internal"].tolist()), kept["gauss"]))
    devices: list[Tensor] = state.get("cuda", [])
    for index, device_state in enumerate(devices[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(device_state.cpu(), index)


@contextmanager
def own_randomness(seed: int | None) -> Iterator[None]:
    """With a seed: seed every generator, and leave each as it was. Without one: draw on as the program was drawing.

    >>> import torch
    >>> before = torch.get_rng_state()
    >>> with own_randomness(3):
    ...     a = torch.rand(())
    >>> bool((torch.get_rng_state() == before).all())
    True
    """
    if seed is None:
        yield
        return
    with kept_randomness():
        pyro.set_rng_seed(seed)
        yield


@contextmanager
def kept_randomness() -> Iterator[None]:
    """Leave every generator as it was."""
    before = random_state()
    try:
        yield
    finally:
        restore_random_state(before)
