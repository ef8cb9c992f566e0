"""Learning-rate schedules: from 1 to 0.1 %, at the moments that their names say."""

from __future__ import annotations

import pytest

from pyro_vae.errors import OptionError
from pyro_vae.training.schedules import SCHEDULES, Moment, schedule_from

START, END = Moment(0, 100, 0.0), Moment(100, 100, 1.0)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "constant"])
def test_falls_from_one_to_a_thousandth(name):
    factor = schedule_from(name).factor
    assert factor(START) == pytest.approx(1.0)
    assert factor(END) == pytest.approx(0.001)


def test_settle_holds_the_rate_while_the_run_searches():
    factor = schedule_from("settle").factor
    assert [factor(Moment(step, 100, 0.0)) for step in (0, 30, 60)] == [1.0, 1.0, 1.0]
    assert factor(Moment(80, 100, 0.5)) == pytest.approx(0.001**0.5)


def test_constant_never_changes():
    assert schedule_from("constant").factor(END) == 1.0


@pytest.mark.parametrize("name", ["cosine", "exponential", "linear"])
def test_schedules_of_the_whole_run_cannot_be_stopped_early(name):
    assert not schedule_from(name).stoppable


def test_a_function_is_a_schedule():
    schedule = schedule_from(lambda step, steps: 1 - step / (2 * steps))
    assert schedule.factor(END) == 0.5


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(OptionError, match="Nearest: cosine"):
        schedule_from("cosin")
    with pytest.raises(OptionError, match="expected a name"):
        schedule_from(0.5)  # pyright: ignore[reportArgumentType]
