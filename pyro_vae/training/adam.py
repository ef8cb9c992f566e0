"""Adam as a pure function of tensors: the form that a compiled step takes it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyro_vae.training.optimizers import StepOptimizer, TorchOptimizer


@dataclass(frozen=True)
class AdamUpdate:
    r"""The update of ``torch.optim.Adam`` and ``AdamW``, from values to new values.

    .. math:: m' = \beta_1 m + (1 - \beta_1) g, \quad v' = \beta_2 v + (1 - \beta_2) g^2, \quad
              \phi' = \phi - \eta \frac{m' / (1 - \beta_1^t)}{\sqrt{v' / (1 - \beta_2^t)} + \epsilon}

    ``groups`` are the settings by parameter; ``state`` torch's own live tensors: m and v like the
    parameter, t a scalar.
    Source: Kingma and Ba, ICLR 2015; Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """

    rates: Mapping[str, float]
    settings: Mapping[str, Mapping[str, Any]]
    state: Mapping[str, tuple[Tensor, Tensor, Tensor]]

    def __call__(
        self, name: str, value: Tensor, grad: Tensor, state: Sequence[Tensor], factor: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """The parameter and its (m, v, t) after a step; ``factor`` multiplies the learning rate, a float64 scalar."""
        m, v, step = state
        setting = self.settings[name]
        (beta1, beta2), decay = setting["betas"], setting["weight_decay"]
        rate = self.rates[name] * factor
        if decay and setting["decoupled_weight_decay"]:
            value = value * (1 - rate * decay).to(value.dtype)
        elif decay:
            grad = grad + decay * value
        step = step + 1
        m = m + (grad - m) * (1 - beta1)
        v = v * beta2 + grad * grad * (1 - beta2)
        # Scalars in 64 bits, as torch has them; a scalar parameter must not take on their dtype.
        first = (rate / (1 - beta1 ** step.double())).to(value.dtype)
        second = torch.sqrt(1 - beta2 ** step.double()).to(value.dtype)
        return value - first * m / (v.sqrt() / second + setting["eps"]), (m, v, step)


def adam_update(optimizer: StepOptimizer, params: Mapping[str, Tensor]) -> AdamUpdate | str:
    """The update of an optimiser that has taken a step; for any that is not Adam's, why not."""
    inner: Any = optimizer.torch if isinstance(optimizer, TorchOptimizer) else getattr(optimizer, "pyro", optimizer)
    if not isinstance(optimizer, TorchOptimizer) or type(inner) not in (torch.optim.Adam, torch.optim.AdamW):
        return f"only torch's Adam and AdamW have a compiled form, and the optimiser is {_kind(inner)}"
    names = {id(leaf): name for name, leaf in params.items()}
    rates, settings = {}, {}
    for group, rate in zip(inner.param_groups, optimizer.rates, strict=True):
        odd = [option for option in ("amsgrad", "maximize", "differentiable") if group[option]]
        if odd:
            return f"Adam with {odd[0]}=True has no compiled form"
        for leaf in group["params"]:
            settings[names[id(leaf)]], rates[names[id(leaf)]] = group, rate
    state = {
        name: (kept["exp_avg"], kept["exp_avg_sq"], kept["step"])
        for name, leaf in params.items()
        if (kept := inner.state.get(leaf))
    }
    return AdamUpdate(rates, settings, state)


def _kind(optimizer: Any) -> str:
    constructor = getattr(optimizer, "pt_optim_constructor", None)
    return type(optimizer).__name__ if constructor is None else f"{constructor.__name__} of pyro.optim"
