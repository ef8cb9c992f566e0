"""Every optimiser that has a compiled form moves parameters and its state as torch.optim does."""

from __future__ import annotations

import pyro.optim
import pytest
import torch
from torch import optim

from pyro_vae.training.optimizers import PyroOptimizer, TorchOptimizer
from pyro_vae.training.updates import RULES, update_of

CASES = [
    (optim.Adam, {}),
    (optim.Adam, {"amsgrad": True, "weight_decay": 0.3, "betas": (0.8, 0.95)}),
    (optim.Adam, {"fused": True, "maximize": True}),
    (optim.AdamW, {"weight_decay": 0.3}),
    (optim.NAdam, {}),
    (optim.NAdam, {"weight_decay": 0.3, "decoupled_weight_decay": True, "momentum_decay": 0.1}),
    (optim.RAdam, {"betas": (0.9, 0.9)}),
    (optim.RAdam, {"weight_decay": 0.3, "maximize": True}),
    (optim.Adamax, {"weight_decay": 0.3}),
    (optim.Adagrad, {"lr_decay": 0.2, "weight_decay": 0.3, "initial_accumulator_value": 0.1}),
    (optim.RMSprop, {}),
    (optim.RMSprop, {"centered": True, "momentum": 0.7, "weight_decay": 0.3}),
    (optim.SGD, {}),
    (optim.SGD, {"momentum": 0.9, "dampening": 0.2, "weight_decay": 0.3}),
    (optim.SGD, {"momentum": 0.9, "nesterov": True, "maximize": True}),
]


def test_every_rule_has_a_case():
    assert {kind for kind, _ in CASES} == set(RULES)


@pytest.mark.parametrize(("kind", "options"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_rule_is_torchs_step(kind, options):
    generator = torch.Generator().manual_seed(0)
    params = {
        name: torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
        for name, shape in {"matrix": (2, 3), "scalar": (), "never": (2,)}.items()
    }
    optimizer = TorchOptimizer(lambda leaves: kind(leaves, lr=0.1, **options))

    def grads():
        drawn = {name: torch.randn(leaf.shape, dtype=leaf.dtype, generator=generator) for name, leaf in params.items()}
        return {**drawn, "never": None}

    optimizer.step(params, grads(), 1.0)
    for step in range(12):
        factor, given = 0.9**step, grads()
        update = update_of(optimizer, params)
        expected = {}
        for name in ("matrix", "scalar"):
            before = update.state.get(name, {})
            rate = torch.tensor(factor, dtype=torch.float64)
            moved = update(name, params[name].detach().clone(), given[name].clone(), before, rate)
            expected[name] = (moved[0].clone(), {key: value.clone() for key, value in moved[1].items()})
        optimizer.step(params, given, factor)
        for name, (value, state) in expected.items():
            torch.testing.assert_close(value, params[name].detach(), rtol=1e-12, atol=1e-12)
            after = update_of(optimizer, params).state.get(name, {})
            assert state.keys() == after.keys()
            for key, kept in after.items():
                torch.testing.assert_close(state[key], kept, rtol=1e-12, atol=1e-12, msg=f"{name} {key}")


@pytest.mark.parametrize(
    ("optimizer", "why"),
    [
        (TorchOptimizer(lambda leaves: optim.Rprop(leaves)), "this one is Rprop"),
        (TorchOptimizer(lambda leaves: optim.Adam(leaves, differentiable=True)), "differentiable=True"),
        (PyroOptimizer(pyro.optim.Adam({"lr": 0.1})), "this one is Adam of pyro.optim"),
    ],
)
def test_an_optimiser_without_a_rule_is_named(optimizer, why):
    leaf = torch.zeros(2, requires_grad=True)
    if isinstance(optimizer, TorchOptimizer):
        optimizer._admit({"x": leaf}, ["x"])
    assert why in update_of(optimizer, {"x": leaf})
