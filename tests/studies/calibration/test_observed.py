"""The observed arguments are found by where their numbers lie in memory, and only these are exchanged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pyro_vae.errors import ModelError
from pyro_vae.studies.calibration.observed import filled, find_slots

TABLE = torch.arange(12.0).reshape(3, 4)
VIEWS = {
    "the argument itself": TABLE,
    "a column": TABLE[:, 1],
    "every second number, transposed": TABLE.T[::2],
    "flattened": TABLE.reshape(-1),
    "one number": TABLE[2, 3],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_is_put_back_where_it_came_from(view: torch.Tensor) -> None:
    before = TABLE.clone()
    slots = find_slots({"y": view}, (), {"x": torch.zeros(3, 4), "table": TABLE})
    assert {slot.argument for slot in slots} == {"'table'"}
    _, kwargs = filled(slots, {"y": -view - 1}, (), {"x": torch.zeros(3, 4), "table": TABLE})
    expected = before.clone()
    seen = torch.isin(before, view.contiguous())
    expected[seen] = -before[seen] - 1
    assert torch.equal(kwargs["table"], expected)
    assert torch.equal(before, TABLE)


def test_arrays_lists_and_positions_keep_their_kinds() -> None:
    array = np.arange(3.0)
    args = ([torch.ones(2), {"y": array}], 7)
    slots = find_slots({"y": torch.as_tensor(array)}, args, {})
    (nested, seven), _ = filled(slots, {"y": torch.tensor([5.0, 6.0, 7.0])}, args, {})
    assert isinstance(nested, list)
    assert seven == 7
    assert isinstance(nested[1]["y"], np.ndarray)
    assert nested[1]["y"].tolist() == [5, 6, 7]
    assert array.tolist() == [0, 1, 2]
    assert slots[0].argument == "number 1[1]['y']"


def test_sites_that_share_an_argument_fill_it_together() -> None:
    y = torch.zeros(3)
    slots = find_slots({f"y_{t}": y[t] for t in range(3)}, (y,), {})
    (new,), _ = filled(slots, {f"y_{t}": torch.tensor(t + 1.0) for t in range(3)}, (y,), {})
    assert new.tolist() == [1, 2, 3]


def test_an_argument_that_is_given_twice_is_exchanged_twice() -> None:
    y = torch.zeros(2)
    slots = find_slots({"y": y}, (y, y), {})
    args, _ = filled(slots, {"y": torch.ones(2)}, (y, y), {})
    assert [arg.tolist() for arg in args] == [[1, 1], [1, 1]]


def test_a_neighbour_in_the_same_memory_is_not_mistaken() -> None:
    x, y = TABLE[:, :3], TABLE[:, 3]
    assert [slot.argument for slot in find_slots({"y": y}, (), {"x": x, "y": y})] == ["'y'"]


def test_a_converted_copy_is_recognised_by_its_numbers_and_written_in_the_arguments_type() -> None:
    counts = torch.tensor([3, 1, 4])
    slots = find_slots({"y": counts.double()}, (), {"n": torch.ones(3), "counts": counts})
    _, kwargs = filled(slots, {"y": torch.tensor([2.0, 7.0, 1.0])}, (), {"counts": counts})
    assert kwargs["counts"].dtype == torch.int64
    assert kwargs["counts"].tolist() == [2, 7, 1]


@pytest.mark.parametrize(
    ("observed", "kwargs", "said"),
    [
        (torch.ones(3).log(), {"y": torch.ones(3), "x": torch.ones(2)}, r"Site 'y'.*\('y', 'x'\) nor a view"),
        (torch.ones(3), {}, r"Site 'y'.*\(none\)"),
        (torch.ones(3).double(), {"a": torch.ones(3), "b": torch.ones(3)}, "Site 'y'.*'a' and 'b'"),
    ],
    ids=["computed", "no arguments", "two that are equal"],
)
def test_what_cannot_be_found_names_the_site_and_the_way_out(observed, kwargs, said) -> None:
    with pytest.raises(ModelError, match=said) as error:
        find_slots({"y": observed}, (), kwargs)
    assert "simulate=" in str(error.value)


def test_an_observation_that_is_broadcast_is_an_error_that_names_the_site() -> None:
    y = torch.zeros(1)
    with pytest.raises(ModelError, match=r"Site 'y': it observes 1 numbers, and a draw of it has 4"):
        filled(find_slots({"y": y}, (y,), {}), {"y": torch.zeros(4)}, (y,), {})
