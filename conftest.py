"""What every test and every documented example starts from, and what it must leave as it was.

It stands at the root because docstrings under ``pyro_vae`` and pages under ``docs`` are run as tests too.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator

import pyro
import pytest
import torch

torch.set_num_threads(1)
# Compiled functions are kept for the tests of one process, which start with none.
_COMPILED = tempfile.TemporaryDirectory()
os.environ["PYRO_VAE_CACHE"] = _COMPILED.name
os.environ["PYRO_VAE_COMPILE"] = "0"  # tests that compile say so: hundreds of short fits need not


def _global_state() -> dict[str, object]:
    """The switches that belong to torch, Pyro and Matplotlib, and that the library may never leave changed."""
    state: dict[str, object] = {f"pyro.settings {name}": value for name, value in pyro.settings.get().items()}
    state["torch default dtype"] = torch.get_default_dtype()
    state["torch default device"] = torch.get_default_device()
    state["torch gradients"] = torch.is_grad_enabled()
    state["torch deterministic algorithms"] = torch.are_deterministic_algorithms_enabled()
    state["torch threads"] = torch.get_num_threads()
    state["pyro handlers"] = tuple(pyro.poutine.runtime._PYRO_STACK)
    return state


def _matplotlib_state() -> dict[str, object]:
    """Matplotlib's style and open pyplot figures; empty until something has imported it."""
    state: dict[str, object] = {}
    if "matplotlib" in sys.modules:
        state["matplotlib style"] = dict(sys.modules["matplotlib"].rcParams)
    if "matplotlib.pyplot" in sys.modules:
        state["pyplot figures"] = sys.modules["matplotlib.pyplot"].get_fignums()
    return state


@pytest.fixture(autouse=True)
def fresh_state() -> Iterator[None]:
    """An empty param store, validation on, Python, NumPy and torch seeded with 0; then a check of what is left."""
    pyro.clear_param_store()
    pyro.enable_validation(True)
    pyro.set_rng_seed(0)
    before = _global_state()
    matplotlib_before = _matplotlib_state()
    yield
    after = _global_state()
    left = {name: (value, after[name]) for name, value in before.items() if after[name] != value}
    matplotlib_after = _matplotlib_state()
    left |= {
        name: ("as it was", "changed") for name, value in matplotlib_before.items() if matplotlib_after[name] != value
    }
    assert not left, f"the test, or the code under it, left global state changed (name: before, after): {left}"
