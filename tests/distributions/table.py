"""Ours beside torch's, NumPyro's and TFP's in single precision: ``python -m tests.distributions.table [cases]``.

Parameters are drawn over twelve orders of magnitude, and points out to the last representable float. The truth is
mpmath's, at 120 digits, of the parameters and points as they are once rounded to float32.

- finite: log_prob and all its gradients are finite, of the cases whose exact values are float32 numbers;
- right: log_prob is within 1e-5 max(1, |exact|), of the cases whose exact value is a float32 number;
- outside: draws that are not in the open support, or not finite, of 100 per case.

NumPyro and TFP are shown where they can be imported. Both run on one JAX, in one process, with what
``pip install pyro-vae[bench]`` brings: numpyro 0.22.0, jax 0.10.2 and tfp-nightly 0.26.0.dev20261027. It is no test: it
takes minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import torch

from tests.distributions.table_rows import ROWS, Row

MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Truth:
    """Of every case: the exact log-density and its gradients by the point and by each parameter."""

    value: np.ndarray
    representable: np.ndarray
    gradients_representable: np.ndarray


def truth(row: Row, points: np.ndarray, parameters: tuple[np.ndarray, ...]) -> Truth:
    values, representable, gradients = [], [], []
    with mpmath.workdps(120):
        for arguments in zip(points, *parameters, strict=True):
            exact = [mpmath.mpf(float(argument)) for argument in arguments]
            value = row.log_density(*exact)
            slopes = [slope(row.log_density, exact, number) for number in range(len(exact))]
            values.append(float(value) if abs(value) <= MAX else np.nan)
            representable.append(abs(value) <= MAX)
            gradients.append(all(abs(each) <= MAX for each in slopes))
    return Truth(np.array(values), np.array(representable), np.array(gradients))


def slope(function: Callable[..., Any], arguments: list, number: int):
    """d function / d argument, by a central difference whose step is far below the argument."""
    step = abs(arguments[number]) * mpmath.mpf(10) ** -45 or mpmath.mpf(10) ** -60
    up, down = list(arguments), list(arguments)
    up[number] += step
    down[number] -= step
    return (function(*up) - function(*down)) / (2 * step)


def measured_torch(make: Callable[..., Any], points: np.ndarray, parameters: tuple[np.ndarray, ...]):
    """log_prob, whether all gradients are finite, and draws."""
    tensors = [torch.tensor(value, requires_grad=True) for value in (points, *parameters)]
    distribution = make(*tensors[1:], validate_args=False)
    log_prob = distribution.log_prob(tensors[0])
    gradients = torch.autograd.grad(log_prob.sum(), tensors, allow_unused=True)
    finite = torch.stack([torch.isfinite(each) for each in gradients if each is not None]).all(0)
    torch.manual_seed(0)
    return log_prob.detach().numpy(), finite.numpy(), distribution.sample((100,)).numpy()


def measured_jax(make: Callable[..., Any], points: np.ndarray, parameters: tuple[np.ndarray, ...]):
    """The same for a class of NumPyro or of TFP on JAX."""
    import jax

    def log_prob(point, *values):
        return make(*values).log_prob(point)

    count = 1 + len(parameters)
    values = jax.vmap(log_prob)(points, *parameters)
    gradients = jax.vmap(jax.grad(log_prob, argnums=tuple(range(count))))(points, *parameters)
    finite = np.stack([np.isfinite(np.asarray(each)) for each in gradients]).all(0)
    distribution = make(*parameters)
    key = jax.random.PRNGKey(0)
    draws = distribution.sample(key, (100,)) if "numpyro" in make.__module__ else distribution.sample(100, seed=key)
    return np.asarray(values), finite, np.asarray(draws)


def contestants(row: Row) -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    yield "ours", row.ours, measured_torch
    if row.torch is not None:
        yield "torch", row.torch, measured_torch
    for name, home in (("numpyro", "numpyro.distributions"), ("tfp", "tensorflow_probability.substrates.jax")):
        try:
            module = __import__(home, fromlist=["_"])
        except ImportError:
            continue
        make = row.other(name, module)
        if make is not None:
            yield name, make, measured_jax


def show(row: Row, count: int) -> None:
    points, parameters = row.draw(np.random.default_rng(0), count)
    exact = truth(row, points, parameters)
    counted = exact.representable & exact.gradients_representable
    for name, make, measure in contestants(row):
        values, gradients_finite, draws = measure(make, points, parameters)
        finite = (np.isfinite(values) & gradients_finite)[counted].mean()
        error = np.abs(values.astype(np.float64) - exact.value)
        right = (error <= 1e-5 * np.maximum(1, np.abs(exact.value)))[exact.representable].mean()
        outside = int((~row.inside(draws)).sum())
        line = f"{row.name:16} {name:8} {count:6} {100 * finite:9.3f} {100 * right:9.3f}"
        print(f"{line} {outside:9} of {draws.size}")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{'':16} {'':8} {'cases':>6} {'% finite':>9} {'% right':>9} {'outside':>9}")
    for row in ROWS:
        show(row, count)


if __name__ == "__main__":
    main()
