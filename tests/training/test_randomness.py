"""Seeded blocks repeat, and leave every generator as it was."""

from __future__ import annotations

import random

import numpy as np
import torch

from pyro_vae.training.randomness import kept_randomness, own_randomness, random_state, restore_random_state
from pyro_vae.training.storage import read_tree, write_tree


def draw():
    legacy = np.random.rand(3).tolist()  # noqa: NPY002 - models may draw from NumPy's global generator
    return torch.rand(3).tolist(), legacy, random.random(), torch.randn(1).item(), random.gauss(0, 1)


def test_a_saved_state_draws_the_same(tmp_path):
    draw()
    np.random.randn()  # noqa: NPY002 - leaves a cached Gaussian behind
    random.gauss(0, 1)
    path = write_tree(tmp_path / "state.safetensors", random_state())
    expected = draw()
    draw()
    restore_random_state(read_tree(path))
    assert draw() == expected


def test_a_seeded_block_repeats_and_leaves_everything_alone():
    with kept_randomness():
        expected = draw()
    with own_randomness(7):
        first = draw()
    with own_randomness(7):
        assert draw() == first
    assert draw() == expected


def test_without_a_seed_the_program_draws_on():
    with kept_randomness():
        expected = draw()
    with own_randomness(None):
        assert draw() == expected
    assert draw() != expected


def test_is_restored_on_errors_too():
    with kept_randomness():
        expected = draw()
    try:
        with own_randomness(7):
            draw()
            raise ValueError
    except ValueError:
        pass
    assert draw() == expected
