"""A function that is built plays its steps as Python would run them; and it is found again on disk by what it does."""

from __future__ import annotations

import json
import os
import stat

import pytest
import torch

from pyro_vae.compiling import building, cache
from pyro_vae.compiling.beside import Beside
from pyro_vae.compiling.tape import PlayError
from pyro_vae.compiling.writing import without_writes, write_down

STEPS = 7
DATA = torch.linspace(-1, 1, 12).reshape(4, 3)


def step(state, number, noise, data):
    """Two matrix products with what lies between them, and a state that moves."""
    scores = torch.tanh(state @ data.T) + noise
    inner = scores @ data
    state.mul_(0.9).add_(torch.addmm(inner, scores, data, beta=0.5) / 10)
    number.copy_((scores.logsumexp(-1).sum() + inner.square().sum()).double())
    return ()


def tensors(rows=2, data=DATA):
    torch.manual_seed(0)
    return {
        "state": torch.randn(rows, 3),
        "number": torch.zeros((), dtype=torch.float64),
        "noise": torch.zeros(rows, 4),
        "data": data.clone(),
        "noises": torch.randn(STEPS, rows, 4),
        "numbers": torch.zeros(STEPS, dtype=torch.float64),
    }


def built(given, function=step, said="a step"):
    inputs = [given[name] for name in ("state", "number", "noise", "data")]
    made = building.build(
        lambda examples: without_writes(function, examples),
        inputs,
        text=(write_down(function, [value.clone() for value in inputs], decompose=False), said),
    )
    return made.on(
        inputs, Beside(into=[(given["noise"], given["noises"])], outof=[(given["number"], given["numbers"])])
    )


def by_hand(given):
    for row in range(STEPS):
        step(given["state"], given["number"], given["noises"][row], given["data"])
        given["numbers"][row] = given["number"]
    return given


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    return tmp_path / "compiled"


@pytest.fixture
def uncompiled(monkeypatch):
    """From now on nothing can be compiled."""
    inductor = building.inductor

    def forbid():
        def fail(*_, **__):
            raise AssertionError("it was compiled")

        monkeypatch.setattr(building, "inductor", fail)

    forbid.undo = lambda: monkeypatch.setattr(building, "inductor", inductor)
    return forbid


def check(given, wanted):
    for name in ("state", "numbers"):
        torch.testing.assert_close(given[name], wanted[name], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_steps_are_pythons_and_are_found_again_by_what_they_do(kept, uncompiled):
    given = tensors()
    steps = built(given)
    assert steps.__name__ == "play"  # pyright: ignore
    steps(0, 3)
    steps(3, STEPS)
    check(given, by_hand(tensors()))
    (entry,) = kept.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700

    uncompiled()
    for data in (DATA, 2 * DATA):  # the values of data are no part of what a function does
        again = tensors(data=data)
        built(again)(0, STEPS)
        check(again, by_hand(tensors(data=data)))
    with pytest.raises(AssertionError, match="it was compiled"):
        built(tensors(rows=3))
    with pytest.raises(AssertionError, match="it was compiled"):
        built(tensors(), said="another step")

    for damaged in (entry / "calls.json", entry / "kernel_0.so"):
        whole = damaged.with_suffix(".whole")
        damaged.rename(whole)
        with pytest.raises(AssertionError, match="it was compiled"):
            built(tensors())
        whole.rename(damaged)
    (entry / "calls.json").write_text("{")
    with pytest.raises(AssertionError, match="it was compiled"):
        built(tensors())
    uncompiled.undo()
    built(tensors())  # an entry that is damaged is made anew
    uncompiled()
    built(tensors())


@pytest.mark.slow
def test_memory_of_buffers_that_are_not_used_together_is_shared(kept):
    def long(state, number, noise, data):
        for _ in range(20):
            state.copy_(torch.tanh(state @ data.T) @ data)
        number.copy_(state.sum().double())
        return ()

    given = tensors()
    built(given, long)(0, 1)
    wanted = tensors()
    long(wanted["state"], wanted["number"], None, DATA)
    torch.testing.assert_close(given["state"], wanted["state"])
    (entry,) = kept.iterdir()
    calls = json.loads((entry / "calls.json").read_text())
    assert calls["scratch"] < 20 * 2 * 64


@pytest.mark.slow
def test_what_machine_code_says_of_a_failure_is_told(kept):
    def look_up(state, number, noise, data):
        number.copy_(data.index_select(0, (noise[0, :1] * 100).long()).sum().double())
        return ()

    given = tensors()
    given["noises"][:, 0, 0] = torch.tensor([0.0, 0.01, 9.0, 0.0, 0.0, 0.0, 0.0])
    with pytest.raises(PlayError, match=r"step 2 of a block: .*index out of bounds"):
        built(given, look_up)(0, STEPS)


def test_a_key_tells_functions_inputs_and_settings_apart():
    def key(function, x, settings=""):
        return cache.key(write_down(function, [x], decompose=False), [x], settings)

    x = torch.ones(2, 3)
    keys = [
        key(torch.exp, x),
        key(torch.log, x),
        key(torch.exp, x.double()),
        key(torch.exp, torch.ones(3, 2).T),
        key(torch.exp, x, "vectors"),
        key(lambda x: x + 1.5, x),
        key(lambda x: x + 2.5, x),
        key(lambda x: x.sum(0), x),
        key(lambda x: x.sum(1), x),
    ]
    assert len(set(keys)) == len(keys)
    assert key(torch.exp, x) == key(torch.exp, 2 * x)


def test_what_has_no_exact_text_is_not_kept():
    table = torch.arange(3.0)
    graph = write_down(lambda x: x + table, [table.clone()], decompose=False)
    with pytest.raises(ValueError, match="get_attr"):
        cache.key(graph, [table], "")


def test_a_folder_that_others_can_write_into_is_not_used(kept):
    assert cache.folder() == kept
    kept.chmod(0o777)
    assert cache.folder() is None


def test_nothing_is_kept_where_the_variable_is_empty(monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, "")
    assert cache.folder() is None
    assert cache.find("name") is None


def test_only_the_longest_unused_entries_go_and_nothing_else_that_lies_there(kept, monkeypatch):
    monkeypatch.setattr(cache, "KEPT", 2)
    assert cache.folder() == kept
    names = [digit * 64 for digit in "abcd"]
    for age, name in enumerate([*names, "mine"]):
        (kept / name).mkdir()
        os.utime(kept / name, (age, age))
    cache._forget_old(kept)
    assert sorted(path.name for path in kept.iterdir()) == [*names[2:], "mine"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_means_copies_and_what_is_given_are_taken_between_the_steps(kept, dtype):
    """Played from machine code, held against the steps that Python takes."""

    def move(state, value):
        state.mul_(0.9).add_(value)
        return ()

    weights = torch.tensor([0, 1, 1 / 2, 0, 1 / 3, 1 / 4], dtype=torch.float64)
    given = torch.randn(len(weights), 3, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))
    outcomes = []
    for played in (True, False):
        inputs = [torch.ones(5, 3, dtype=dtype), torch.zeros(5, 3, dtype=dtype)]
        mean, last = (torch.zeros(5, 3, dtype=dtype) for _ in range(2))
        beside = Beside(given=[inputs[1]], means=[(mean, inputs[0])], weights=weights, kept=[(last, inputs[0])])
        graph = write_down(move, [value.clone() for value in inputs], decompose=False)
        made = building.build(lambda examples: without_writes(move, examples), inputs, text=(graph, "moves"))
        steps = made.on(inputs, beside) if played else beside.around(lambda values: move(*values), inputs)
        for first, stop in ((0, 4), (4, len(weights))):
            steps(first, stop, [[value.T] for value in given[first:stop]])  # not contiguous
        outcomes.append([inputs[0], mean, last])
        with pytest.raises(ValueError, match="for each of 2 steps"):
            steps(0, 2, [[given[0].T]])
    torch.testing.assert_close(*outcomes, rtol=1e-6, atol=1e-6)
