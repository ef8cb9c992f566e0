"""Optimisers as pure functions of tensors: the form in which a compiled step takes them.

Each rule is what the class of ``torch.optim`` does to one parameter, from values to new values. Scalars that depend on
the step's number are taken in 64 bits, as torch has them, and turned to the parameter's dtype last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyro_vae.training.optimizers import StepOptimizer, TorchOptimizer

State = Mapping[str, Tensor]
# (value, gradient, the parameter's state, the settings of its group, its learning rate as a float64 scalar)
Rule = Callable[[Tensor, Tensor, State, Mapping[str, Any], Tensor], tuple[Tensor, dict[str, Tensor]]]


def _decayed(value: Tensor, grad: Tensor, setting: Mapping[str, Any], rate: Tensor) -> tuple[Tensor, Tensor]:
    """The value after decoupled weight decay, or the gradient with the decay in it."""
    decay = setting["weight_decay"]
    if not decay:
        return value, grad
    if setting.get("decoupled_weight_decay", False):
        return value * (1 - rate * decay).to(value.dtype), grad
    return value, grad + decay * value


def _moments(grad: Tensor, state: State, setting: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """The step's number, and the running means of gradient and squared gradient."""
    beta1, beta2 = setting["betas"]
    m = state["exp_avg"] + (grad - state["exp_avg"]) * (1 - beta1)
    v = state["exp_avg_sq"] * beta2 + grad * grad * (1 - beta2)
    return state["step"] + 1, m, v


def _adam(value: Tensor, grad: Tensor, state: State, setting: Mapping[str, Any], rate: Tensor):
    beta1, beta2 = setting["betas"]
    value, grad = _decayed(value, grad, setting, rate)
    step, m, v = _moments(grad, state, setting)
    new = {"step": step, "exp_avg": m, "exp_avg_sq": v}
    if setting["amsgrad"]:
        v = new["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], v)
    first = (rate / (1 - beta1 ** step.double())).to(value.dtype)
    second = torch.sqrt(1 - beta2 ** step.double()).to(value.dtype)
    return value - first * m / (v.sqrt() / second + setting["eps"]), new


def _nadam(value: Tensor, grad: Tensor, state: State, setting: Mapping[str, Any], rate: Tensor):
    beta1, beta2 = setting["betas"]
    value, grad = _decayed(value, grad, setting, rate)
    step, m, v = _moments(grad, state, setting)
    count, decay = step.double(), setting["momentum_decay"]
    mu, following = (beta1 * (1 - 0.5 * 0.96 ** (later * decay)) for later in (count, count + 1))
    product = state["mu_product"] * mu.to(state["mu_product"].dtype)
    of_grad = (rate * (1 - mu) / (1 - product.double())).to(value.dtype)
    of_mean = (rate * following / (1 - product.double() * following)).to(value.dtype)
    scale = (v / (1 - beta2**count).to(value.dtype)).sqrt() + setting["eps"]
    new = {"step": step, "mu_product": product, "exp_avg": m, "exp_avg_sq": v}
    return value - (of_grad * grad + of_mean * m) / scale, new


def _radam(value: Tensor, grad: Tensor, state: State, setting: Mapping[str, Any], rate: Tensor):
    beta1, beta2 = setting["betas"]
    value, grad = _decayed(value, grad, setting, rate)
    step, m, v = _moments(grad, state, setting)
    count, longest = step.double(), 2 / (1 - beta2) - 1
    correction = 1 - beta2**count
    length = longest - 2 * count * beta2**count / correction
    known = length > 5  # the variance of the second moment is, from here on
    inner = torch.where(known, length, torch.full_like(length, 6.0))
    shrink = ((inner - 4) * (inner - 2) * longest / ((longest - 4) * (longest - 2) * inner)).sqrt()
    adaptive = (shrink * correction.sqrt()).to(value.dtype) / (v.sqrt() + setting["eps"])
    mean = m / (1 - beta1**count).to(value.dtype) * rate.to(value.dtype)
    return value - mean * torch.where(known, adaptive, torch.ones_like(adaptive)), {
        "step": step,
        "exp_avg": m,
        "exp_avg_sq": v,
    }


def _adamax(value: Tensor, grad: Tensor, state: State, setting: Mapping[str, Any], rate: Tensor):
    beta1, beta2 = setting["betas"]
    value, grad = _decayed(value, grad, setting, rate)
    step = state["step"] + 1
    m = state["exp_avg"] + (grad - state["exp_avg"]) * (1 - beta1)
    largest = torch.maximum(state["exp_inf"] * beta2, grad.abs() + setting["eps"])
    length = (rate / (1 - beta1 ** step.double())).to(value.dtype)
    return value - length * m / largest, {"step": step, "exp_avg": m, "exp_inf": largest}


def _adagrad(value: Tensor, grad: Tensor, state: State, setting: Mapping[str, Any], rate: Tensor):
    value, grad = _decayed(value, grad, setting, rate)
    step, total = state["step"] + 1, state["sum"] + grad * grad
    length = (rate / (1 + (step.double() - 1) * setting["lr_decay"])).to(value.dtype)
    return value - length * grad / (total.sqrt() + setting["eps"]), {"step": step, "sum": total}


def _rmsprop(value: Tensor, grad: Tensor, state: State, setting: Mapping[str, Any], rate: Tensor):
    value, grad = _decayed(value, grad, setting, rate)
    alpha = setting["alpha"]
    square = state["square_avg"] * alpha + grad * grad * (1 - alpha)
    new, spread = {"step": state["step"] + 1, "square_avg": square}, square
    if setting["centered"]:
        mean = new["grad_avg"] = state["grad_avg"] + (grad - state["grad_avg"]) * (1 - alpha)
        spread = square - mean * mean
    move = grad / (spread.sqrt() + setting["eps"])
    if setting["momentum"]:
        move = new["momentum_buffer"] = state["momentum_buffer"] * setting["momentum"] + move
    return value - rate.to(value.dtype) * move, new


def _sgd(value: Tensor, grad: Tensor, state: State, setting: Mapping[str, Any], rate: Tensor):
    value, grad = _decayed(value, grad, setting, rate)
    new = {}
    if setting["momentum"]:
        buffer = state["momentum_buffer"] * setting["momentum"] + grad * (1 - setting["dampening"])
        new["momentum_buffer"] = buffer
        grad = grad + setting["momentum"] * buffer if setting["nesterov"] else buffer
    return value - rate.to(value.dtype) * grad, new


RULES: dict[type, Rule] = {
    torch.optim.Adam: _adam,
    torch.optim.AdamW: _adam,
    torch.optim.NAdam: _nadam,
    torch.optim.RAdam: _radam,
    torch.optim.Adamax: _adamax,
    torch.optim.Adagrad: _adagrad,
    torch.optim.RMSprop: _rmsprop,
    torch.optim.SGD: _sgd,
}


@dataclass(frozen=True)
class Update:
    """A rule with the settings and initial learning rates by parameter; ``state`` are torch's own live tensors.

    A parameter that has no state (it never had a gradient) is in ``state`` only where the rule needs none.
    """

    rule: Rule
    rates: Mapping[str, float]
    settings: Mapping[str, Mapping[str, Any]]
    state: Mapping[str, State]

    def __call__(
        self, name: str, value: Tensor, grad: Tensor, state: State, factor: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The parameter and its state after a step; ``factor`` multiplies the learning rate, a float64 scalar."""
        setting = self.settings[name]
        grad = -grad if setting["maximize"] else grad
        value, new = self.rule(value, grad, state, setting, self.rates[name] * factor)
        return value, {kind: new[kind].to(kept.dtype) for kind, kept in state.items()}


def update_of(optimizer: StepOptimizer, params: Mapping[str, Tensor]) -> Update | str:
    """The update of an optimiser that has taken a step; for any that has no rule here, why not."""
    inner: Any = optimizer.torch if isinstance(optimizer, TorchOptimizer) else getattr(optimizer, "pyro", optimizer)
    if not isinstance(optimizer, TorchOptimizer) or type(inner) not in RULES:
        known = ", ".join(kind.__name__ for kind in RULES)
        return f"only these optimisers of torch.optim have a compiled form: {known}; this one is {_kind(inner)}"
    if inner._optimizer_step_pre_hooks or inner._optimizer_step_post_hooks or "step" in vars(inner):
        return f"{type(inner).__name__} has hooks, or a step of its own, which a compiled step would leave out"
    names = {id(leaf): name for name, leaf in params.items()}
    rates, settings = {}, {}
    for group, rate in zip(inner.param_groups, optimizer.rates, strict=True):
        if group["differentiable"]:
            return f"{type(inner).__name__} with differentiable=True has no compiled form"
        for leaf in group["params"]:
            settings[names[id(leaf)]], rates[names[id(leaf)]] = group, rate
    state = {}
    for name, leaf in params.items():
        kept = inner.state.get(leaf)
        if kept or (kept is not None and type(inner) is torch.optim.SGD):
            state[name] = {kind: value for kind, value in kept.items() if isinstance(value, Tensor)}
    return Update(RULES[type(inner)], rates, settings, state)


def _kind(optimizer: Any) -> str:
    constructor = getattr(optimizer, "pt_optim_constructor", None)
    return type(optimizer).__name__ if constructor is None else f"{constructor.__name__} of pyro.optim"
