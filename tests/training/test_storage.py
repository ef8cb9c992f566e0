"""Trees as files: what is written is read back, whole or not at all."""

from __future__ import annotations

import os

import pytest
import torch

from pyro_vae.errors import OutputError
from pyro_vae.training.storage import read_tree, to_device, write_tree


def test_a_tree_comes_back_as_it_was(tmp_path):
    shared = torch.arange(6.0)
    tree = {
        "a/b": 1,
        "a": {"b": torch.tensor(2, dtype=torch.int64), 0: "int key", "empty": {}},
        "list": [1.5, None, True, float("inf"), (1, 2)],
        "tensors": [shared, shared.view(2, 3), shared.double(), torch.zeros(0), torch.tensor([True])],
    }
    found = read_tree(write_tree(tmp_path / "tree.safetensors", tree))
    assert found["a/b"] == 1
    assert found["a"][0] == "int key"
    assert found["a"]["b"].dtype == torch.int64
    assert found["list"] == tree["list"]
    for value, expected in zip(found["tensors"], tree["tensors"], strict=True):
        assert value.dtype == expected.dtype
        assert torch.equal(value, expected)


def test_names_that_would_collide_stay_apart(tmp_path):
    tree = {"a/b": torch.tensor(1.0), "a": {"b": torch.tensor(2.0)}}
    found = read_tree(write_tree(tmp_path / "tree.safetensors", tree))
    assert (found["a/b"].item(), found["a"]["b"].item()) == (1.0, 2.0)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = write_tree(tmp_path / "tree.safetensors", {"x": 1})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match=r"tree\.safetensors"):
        write_tree(path, {"x": 2})
    assert read_tree(path) == {"x": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["tree.safetensors"]


def test_what_cannot_be_written_or_read_names_its_place(tmp_path):
    with pytest.raises(OutputError, match="'settings/rule'"):
        write_tree(tmp_path / "tree.safetensors", {"settings": {"rule": object()}})
    with pytest.raises(OutputError, match="absent/tree"):
        write_tree(tmp_path / "absent" / "tree.safetensors", {})
    with pytest.raises(OutputError, match="no such file"):
        read_tree(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(OutputError, match="not a readable"):
        read_tree(tmp_path / "text.safetensors")
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(OutputError, match="not one written by"):
        read_tree(tmp_path / "other.safetensors")


def test_to_device_walks_dicts_lists_and_tuples():
    tree = {"a": [torch.ones(1), 2], "b": (torch.ones(1), "x")}
    moved = to_device(tree, "meta")
    assert moved["a"][0].device.type == moved["b"][0].device.type == "meta"
    assert (moved["a"][1], moved["b"][1]) == (2, "x")
    assert to_device(tree, None) is tree
