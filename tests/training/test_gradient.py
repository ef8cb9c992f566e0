"""Several batches in one step, and nets in bfloat16: the same gradient as of one large batch in full precision."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn

from pyro_vae import LinearAnnealing, fit
from pyro_vae.errors import OptionError
from pyro_vae.training.fabric import devices_from
from pyro_vae.training.precision import nets_in
from tests.training.programs import Y, guide, model
from tests.training.spread import loader, spread_fit

pytestmark = pytest.mark.usefixtures("cheap_bounds")


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_accumulating_batches_is_a_larger_batch(optimizer):
    options = {"epochs": 5, "optimizer": optimizer, "learning_rate": 0.001}
    whole = spread_fit(30, **options)
    pyro.clear_param_store()
    parts = spread_fit(10, accumulate=3, **options)
    assert whole.steps == parts.steps == 10
    torch.testing.assert_close(torch.tensor(parts.history.bound), torch.tensor(whole.history.bound), rtol=1e-12, atol=0)
    torch.testing.assert_close(
        torch.tensor(parts.history.gradient_norm), torch.tensor(whole.history.gradient_norm), rtol=1e-10, atol=0
    )
    for name, value in whole.values.items():
        torch.testing.assert_close(parts.values[name], value, rtol=1e-10, atol=1e-10)


def test_epochs_are_counted_in_batches_that_need_not_divide():
    assert spread_fit(10, epochs=5, accumulate=4).steps == 8  # 30 batches in steps of 4


def test_an_optimisers_own_schedule_moves_once_per_epoch():
    scheduler = pyro.optim.ExponentialLR({"optimizer": torch.optim.SGD, "optim_args": {"lr": 1e-3}, "gamma": 0.5})
    result = spread_fit(10, epochs=3, accumulate=2, optimizer=scheduler, learning_rate=None, schedule="settle")
    assert result.history.learning_rate.tolist() == [1e-3] * 3 + [5e-4] * 3 + [2.5e-4] * 3


def test_annealing_counts_steps_and_not_batches():
    annealed = {"annealing": LinearAnnealing(4), "steps": 8, "num_particles": 1, "seed": 0, "stop": None}
    one = fit(model, guide, Y, **annealed)
    pyro.clear_param_store()
    several = fit(model, guide, Y, accumulate=3, **annealed)
    for result in (one, several):
        assert result.objective.elbo.weighting.step.item() == 8


@pytest.mark.parametrize("value", [0, 1.5, True])
def test_accumulate_is_a_whole_number(value):
    with pytest.raises(OptionError, match="accumulate: expected a positive whole number"):
        fit(model, guide, Y, accumulate=value)


def test_compiling_such_steps_is_declined_in_words():
    with pytest.warns(UserWarning, match="compile=True: the fit runs eagerly: steps over several batches"):
        fit(model, guide, Y, accumulate=2, compile=True, steps=2, seed=0, stop=None)


class Program(nn.Module):
    """A net inside a module that is itself a Pyro program."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.seen = []
        for part in self.net:
            part.register_forward_hook(lambda module, args, output: self.seen.append(output.dtype))

    def forward(self, x):
        loc = self.net(x)
        self.seen.append((x @ x.T).dtype)
        return pyro.sample("x", dist.Normal(loc, 1.0))


def test_nets_run_in_bfloat16_and_the_programs_around_them_do_not():
    program = Program()
    with nets_in(lambda: torch.autocast("cpu", torch.bfloat16), [program]):
        drawn = program(torch.ones(2, 3))
        with pytest.raises(RuntimeError):
            program.net(torch.ones(2, 4))
        assert not torch.is_autocast_enabled("cpu")  # the failed call has left nothing behind
    assert program.seen[:3] == [torch.bfloat16, torch.bfloat16, torch.float32]
    assert drawn.dtype == torch.float32
    program(torch.ones(2, 3))
    assert program.seen[-3:] == [torch.float32] * 3


def test_mixed_precision_is_near_full_precision_and_keeps_parameters_and_bounds_whole():
    whole = spread_fit(20, dtype=torch.float32, epochs=5)
    pyro.clear_param_store()
    fabric = {"accelerator": "cpu", "devices": 1, "precision": "bf16-mixed"}
    mixed = spread_fit(20, dtype=torch.float32, epochs=5, fabric=fabric)
    assert all(value.dtype == torch.float32 for value in mixed.values.values())
    assert not (whole.history.bound == mixed.history.bound).any()
    torch.testing.assert_close(
        torch.tensor(mixed.history.bound), torch.tensor(whole.history.bound), rtol=5e-3, atol=0.0
    )


@pytest.mark.parametrize(
    ("fabric", "words"),
    [
        (3, r"expected a lightning\.fabric\.Fabric or a dict of its options, got int"),
        ({"precision": "bf16-true", "accelerator": "cpu"}, "precision '32-true' or 'bf16-mixed'"),
        ({"precision": "64-true", "accelerator": "cpu"}, r"\.double\(\)"),
        ({"strategy": "no such strategy", "accelerator": "cpu"}, "Lightning cannot use these options"),
        ({"no_such_option": 1}, "Lightning cannot use these options"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_fabric_cannot_be_is_said(fabric, words):
    with pytest.raises(OptionError, match=words):
        devices_from(fabric, None)


def test_fabric_and_device_do_not_go_together():
    with pytest.raises(OptionError, match=r"device='cpu': fabric= chooses the device"):
        devices_from({"accelerator": "cpu", "devices": 1}, "cpu")


def test_a_fabric_of_ones_own_is_taken():
    from lightning.fabric import Fabric

    devices = devices_from(Fabric(accelerator="cpu", devices=1), None)
    assert devices.plain
    assert len(loader(10)) == 6
