"""Every optimiser fits, takes its learning rate, and goes on from its saved state as if nothing had happened."""

from __future__ import annotations

from functools import partial

import pyro.optim
import pytest
import torch

from pyro_vae.errors import OptionError
from pyro_vae.training.optimizers import NAMES, optimizer_from
from pyro_vae.training.storage import read_tree, write_tree

CHOICES = {
    **{name: name for name in NAMES},
    "class": torch.optim.Adam,
    "factory": partial(torch.optim.SGD, lr=0.05, momentum=0.5),
    "pyro.optim": pyro.optim.Adam({"lr": 0.05}),
    "pyro.optim clipped": pyro.optim.ClippedAdam({"lr": 0.05, "lrd": 0.99}),
    "pyro.optim per parameter": pyro.optim.Adam(lambda name: {"lr": 0.1 if name == "a" else 0.01}),
    "pyro.optim schedule": pyro.optim.ExponentialLR(
        {"optimizer": torch.optim.Adam, "optim_args": {"lr": 0.05}, "gamma": 0.9}
    ),
}
every_choice = pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())


def leaves():
    pyro.clear_param_store()
    pyro.param("a", torch.tensor(3.0))
    pyro.param("b", torch.tensor([1.0, -2.0]))
    return dict(pyro.get_param_store().named_parameters())


def walk(optimizer, params, steps):
    """Steps down sum x^2."""
    for _ in range(steps):
        optimizer.step(params, {name: 2 * leaf.detach() for name, leaf in params.items()}, 1.0)
        optimizer.epoch()
    return {name: leaf.detach().clone() for name, leaf in params.items()}


@every_choice
def test_goes_down(choice):
    params = leaves()
    before = sum(leaf.pow(2).sum().item() for leaf in params.values())
    after = walk(optimizer_from(choice)(), params, 20)
    assert sum(value.pow(2).sum().item() for value in after.values()) < before
    assert all(leaf.grad is None for leaf in params.values())


@every_choice
def test_goes_on_from_its_saved_state_to_the_bit(choice, tmp_path):
    expected = walk(optimizer_from(choice)(), leaves(), 9)
    first, params = optimizer_from(choice)(), leaves()
    half = walk(first, params, 4)
    path = write_tree(tmp_path / "state.safetensors", first.state())
    again = leaves()
    for name, leaf in again.items():
        leaf.data.copy_(half[name])
    second = optimizer_from(choice)()
    second.restore(again, read_tree(path))
    found = walk(second, again, 5)
    for name in expected:
        assert torch.equal(found[name], expected[name])
    assert second.learning_rate == pytest.approx(first.learning_rate, rel=0.6)


@pytest.mark.parametrize("choice", ["adam", torch.optim.Adam, partial(torch.optim.Adam, lr=1.0)])
def test_learning_rate_and_schedule_factor_set_the_step(choice):
    params = leaves()
    optimizer = optimizer_from(choice, 0.25)()
    optimizer.step(params, {"a": torch.tensor(1.0), "b": None}, 0.5)
    assert params["a"].item() == pytest.approx(3.0 - 0.125, rel=1e-5)  # Adam's first step is the rate times the sign
    assert params["b"].tolist() == [1.0, -2.0]
    assert optimizer.learning_rate == 0.125


def test_parameters_that_turn_up_later_are_optimised_too():
    params = leaves()
    early = {"a": params["a"]}
    optimizer = optimizer_from("adam")()
    walk(optimizer, early, 2)
    walk(optimizer, {**early, "b": params["b"]}, 2)
    assert params["b"][0].item() < 1.0


def test_the_users_pyro_optimiser_is_not_changed():
    mine = pyro.optim.Adam({"lr": 0.05})
    walk(optimizer_from(mine)(), leaves(), 2)
    assert not mine.optim_objs


@pytest.mark.parametrize(
    ("choice", "rate", "message"),
    [
        ("adma", None, "Nearest: adam"),
        ("adam", -1.0, "expected a positive number"),
        (pyro.optim.Adam({"lr": 0.1}), 0.1, "give it there"),
        (3, None, "expected a name"),
    ],
)
def test_what_cannot_be_used_is_said(choice, rate, message):
    with pytest.raises(OptionError, match=message):
        optimizer_from(choice, rate)


def test_a_factory_that_makes_no_optimiser_is_said():
    with pytest.raises(OptionError, match="got str"):
        walk(optimizer_from(lambda params: "adam")(), leaves(), 1)
