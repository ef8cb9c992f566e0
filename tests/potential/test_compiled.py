"""The compiled gradient: the eager one's digits, and never a silent other one."""

from __future__ import annotations

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae.compiling.constants import fold_constants
from pyro_vae.potential import Potential, compiled
from pyro_vae.potential.compiled import compile_gradient, disagreement
from tests.potential.cases import CASES, Case, eight_schools

POINTS = [np.array([value]) for value in (0.1, -0.4, 1.0, -1.0, 2.0, -3.0)]


def value_and_grad(function):
    """The eager pair of a function of one tensor."""

    def pair(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = x.detach().requires_grad_(True)
        value = function(leaf)
        return value.detach(), torch.autograd.grad(value, leaf)[0]

    return pair


def test_eight_schools_is_compiled_to_the_same_digits() -> None:
    potential = Potential(eight_schools)
    assert potential.gradient.backend == "inductor", potential.gradient.why
    assert potential.check(list(np.random.default_rng(0).normal(size=(20, 10), scale=2))) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_kind_of_site_is_compiled_to_the_same_digits(case: Case) -> None:
    potential = Potential(case.model)
    assert potential.gradient.backend == "inductor", potential.gradient.why
    assert potential.check(list(np.random.default_rng(0).normal(size=(20, potential.size), scale=2))) < 1e-12


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_without_a_compiler_torchscript_gives_the_same_digits(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("no g++ here")

    monkeypatch.setattr(compiled, "_Inductor", no_compiler)
    potential = Potential(case.model)
    assert potential.gradient.backend == "torchscript", potential.gradient.why
    assert potential.gradient.why == "inductor failed (RuntimeError: no g++ here)"
    assert potential.check(list(np.random.default_rng(0).normal(size=(20, potential.size), scale=2))) < 1e-12


def test_compiling_leaves_inductor_as_it_was() -> None:
    from torch._inductor import config, cpu_vec_isa

    before = config.get_config_copy()
    compile_gradient(value_and_grad(lambda x: -(x**2).sum()), POINTS)
    assert config.get_config_copy() == before
    assert cpu_vec_isa.valid_vec_isa_list.cache_info().currsize == 0


def test_control_flow_on_values_stays_eager() -> None:
    gradient = compile_gradient(value_and_grad(lambda x: x.sum() if x.sum() > 0 else 2 * x.sum()), POINTS)
    assert gradient.backend == "eager"
    assert "cannot be traced" in gradient.why
    assert gradient.evaluate(np.array([-1.0]))[0] == -2


def test_a_value_that_slips_past_the_trace_is_caught_by_its_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first point fixes `scale` in the graph, for NumPy is not traced: the other points show it.
    monkeypatch.delattr(compiled, "_Inductor")
    monkeypatch.setattr(compiled, "_Inductor", lambda graph, start: graph, raising=False)
    scales = iter(range(10**6))

    def density(x: torch.Tensor) -> torch.Tensor:
        return -(x**2).sum() * float(np.array(2.0 if next(scales) < len(POINTS) else 3.0))

    gradient = compile_gradient(value_and_grad(density), POINTS)
    assert gradient.backend == "eager"
    assert "gives another value" in gradient.why


def test_random_numbers_stay_eager() -> None:
    gradient = compile_gradient(value_and_grad(lambda x: (x * torch.rand(1)).sum()), POINTS)
    assert gradient.backend == "eager"
    assert "random numbers" in gradient.why


def test_a_very_long_program_is_not_given_to_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_LARGE", 3)
    gradient = compile_gradient(value_and_grad(lambda x: -(x**2).sum()), POINTS)
    assert gradient.backend == "torchscript"
    assert "operations long" in gradient.why


def test_disagreement_sees_value_gradient_and_infinity() -> None:
    right = (1.0, np.array([2.0]))
    assert disagreement(lambda _: right, POINTS[:1], [right]) == 0
    assert disagreement(lambda _: (1.1, np.array([2.0])), POINTS[:1], [right]) == pytest.approx(0.1)
    assert disagreement(lambda _: (1.0, np.array([1.0])), POINTS[:1], [right]) == pytest.approx(0.5)
    assert disagreement(lambda _: (np.nan, np.array([2.0])), POINTS[:1], [right]) == np.inf
    assert disagreement(lambda _: right, POINTS[:1], [(-np.inf, np.array([0.0]))]) == np.inf


def test_linear_algebra_that_breaks_down_is_no_number() -> None:
    def model() -> None:
        z = pyro.sample("z", dist.Normal(3.0, 0.1))
        covariance = torch.stack([torch.stack([z, torch.ones_like(z)]), torch.stack([torch.ones_like(z), z])])
        pyro.sample("x", dist.MultivariateNormal(torch.zeros(2), covariance), obs=torch.zeros(2))

    potential = Potential(model, compiled=False)
    assert np.isfinite(potential.value_and_grad(np.array([1.5]))[0])
    assert np.isnan(potential.value_and_grad(np.array([0.5]))[0])  # not positive definite


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_writing_in_place_is_compiled_right_and_leaves_no_trace() -> None:
    def density(x: torch.Tensor) -> torch.Tensor:
        out = torch.ones(3, dtype=torch.float64)
        out[1:2] = x
        out[2:] *= 2 * x
        return -(torch.cumprod(out, 0).sum() ** 2)  # the derivative of cumprod writes in place as well

    for backend in (compiled._Inductor, compiled._torchscript):
        start = torch.tensor([0.1], dtype=torch.float64)
        graph = compiled._trace(value_and_grad(density), start)
        fold_constants(graph)
        run = compiled.as_numpy(backend(graph, start))
        expected = [compiled.as_numpy(value_and_grad(density))(point) for point in POINTS]
        assert disagreement(run, POINTS, expected) < 1e-14
        assert disagreement(run, POINTS, expected) < 1e-14  # a constant that was written to would show now


def test_a_default_dtype_is_not_left_to_the_time_of_the_call() -> None:
    from pyro_vae.potential import double_precision

    def pair(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with double_precision():
            return value_and_grad(lambda leaf: (leaf * torch.linspace(0.0, 1 / 3, 7)).sum())(x)

    gradient = compile_gradient(pair, POINTS)
    assert gradient.why == ""
    assert gradient.evaluate(np.array([3.0]))[0] == pytest.approx(3.5, rel=1e-15)
