"""The tail average is the mean of the iterates it was given."""

from __future__ import annotations

import torch

from pyro_vae.training.averaging import TailAverage


def test_is_the_mean_of_the_iterates():
    iterates = torch.randn(50, 3, dtype=torch.float64)
    average = TailAverage()
    for row in iterates:
        average.add({"a": row, "b": row.sum()})
    torch.testing.assert_close(average.values["a"], iterates.mean(0))
    torch.testing.assert_close(average.values["b"], iterates.sum(1).mean())


def test_a_late_parameter_has_its_own_count():
    average = TailAverage()
    average.add({"a": torch.tensor(1.0)})
    average.add({"a": torch.tensor(3.0), "b": torch.tensor(5.0)})
    assert (average.values["a"].item(), average.values["b"].item()) == (2.0, 5.0)


def test_goes_on_from_its_saved_state_to_the_bit():
    iterates = torch.randn(20, 3)
    whole, half = TailAverage(), TailAverage()
    for row in iterates:
        whole.add({"a": row})
    for row in iterates[:7]:
        half.add({"a": row})
    again = TailAverage()
    again.restore({"a": iterates[0]}, half.state())
    for row in iterates[7:]:
        again.add({"a": row})
    assert torch.equal(again.values["a"], whole.values["a"])


def test_an_empty_average_is_false():
    assert not TailAverage()
