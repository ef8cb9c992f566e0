"""What depends on constants alone is computed once, and never what the function writes into."""

from __future__ import annotations

import pytest
import torch

from pyro_vae.compiling.constants import constants_as_inputs, fold_constants
from pyro_vae.compiling.writing import write_down

DATA = torch.arange(6.0).reshape(2, 3)
X = torch.tensor([0.3, -1.2, 2.0])


def written(function):
    graph = write_down(function, [X], decompose=False)
    fold_constants(graph)
    return graph, constants_as_inputs(graph)


def operations(graph):
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_what_depends_on_data_alone_is_computed_once():
    graph, constants = written(lambda x: x + DATA.log1p().exp().sum(0))
    assert operations(graph) == ["aten.add.Tensor"]
    torch.testing.assert_close(constants, [(DATA + 1).sum(0)])


def test_a_constant_of_one_value_is_a_number():
    graph, constants = written(lambda x: x * torch.full((2, 3), 5.0).log())
    assert constants == []
    assert "aten.full.default" in operations(graph)
    torch.testing.assert_close(graph(X), X * torch.full((2, 3), 5.0).log())


def test_a_constant_that_repeats_itself_is_given_once():
    rows = DATA[:1]
    graph, constants = written(lambda x: x + rows.expand(1000, 3).exp())
    assert [tuple(constant.shape) for constant in constants] == [(1, 3)]
    torch.testing.assert_close(graph(X, *constants), X + rows.expand(1000, 3).exp())


def test_values_that_are_not_finite_stay_inputs():
    graph, constants = written(lambda x: x + torch.full((3,), float("nan")))
    assert len(constants) == 1
    assert graph(X, *constants).isnan().all()


def filled(x):
    """Makes a tensor from nothing, and writes into it and into a view of it."""
    table = torch.zeros(2, 3)
    table[0].copy_(x)
    table.add_(1)
    return table * DATA


def scattered(x):
    table = torch.ones(3)
    half, _ = table.split(2)
    half.mul_(x[:2])
    return table


@pytest.mark.parametrize("function", [filled, scattered])
def test_memory_that_is_written_into_is_made_anew_each_time(function):
    graph, constants = written(function)
    for x in (X, 2 * X, X):
        torch.testing.assert_close(graph(x, *constants), function(x))
