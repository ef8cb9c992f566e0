"""Two checkpoints are kept; a damaged one is refused, in words, and the one before it used."""

from __future__ import annotations

import pyro
import pytest
import torch

from pyro_vae import fit
from pyro_vae.errors import OptionError, OutputError
from pyro_vae.training.checkpoints import Checkpoints, is_there, previous_of
from pyro_vae.training.storage import read_tree, write_tree
from tests.training.programs import Y, guide, model

OPTIONS = {"steps": 30, "seed": 0, "num_particles": 2, "stop": None, "checkpoint_every": 8}


def truncated(path):
    blob = path.read_bytes()
    path.write_bytes(blob[: len(blob) // 2])


def emptied(path):
    path.write_bytes(b"")


def flipped_in_a_tensor(path):
    blob = bytearray(path.read_bytes())
    blob[-3] ^= 1
    path.write_bytes(bytes(blob))


def edited_in_the_header(path):
    blob = path.read_bytes()
    assert b'\\"seed\\", 0' in blob
    path.write_bytes(blob.replace(b'\\"seed\\", 0', b'\\"seed\\", 1'))


def removed(path):
    path.unlink()


DAMAGES = [truncated, emptied, flipped_in_a_tensor, edited_in_the_header]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_refused_in_words(damage, tmp_path):
    path = write_tree(tmp_path / "run.safetensors", {"settings": {"seed": 0}, "x": torch.arange(8.0)})
    assert read_tree(path)["settings"] == {"seed": 0}
    damage(path)
    with pytest.raises(OutputError, match=r"run\.safetensors: (not a readable|damaged, or changed)"):
        read_tree(path)


@pytest.mark.parametrize("damage", [*DAMAGES, removed], ids=lambda damage: damage.__name__)
@pytest.mark.usefixtures("cheap_bounds")
def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one(damage, tmp_path):
    whole = fit(model, guide, Y, **OPTIONS)
    pyro.clear_param_store()
    path = tmp_path / "run.safetensors"
    fit(model, guide, Y, checkpoint=path, **OPTIONS)
    assert read_tree(path)["kind"] == "fit"
    assert len(read_tree(previous_of(path))["history"]) == 24
    damage(path)
    pyro.clear_param_store()
    with pytest.warns(UserWarning, match=r"Going on from the checkpoint before it, .*run\.previous\.safetensors"):
        again = fit(model, guide, Y, checkpoint=path, resume=True, **OPTIONS)
    assert (again.history.bound == whole.history.bound).all()
    assert again.bound == whole.bound
    assert read_tree(path)["kind"] == "fit"
    assert len(read_tree(previous_of(path))["history"]) == 24  # the damaged one was not kept in its place


def test_when_neither_can_be_used_the_error_says_so_of_both(tmp_path):
    path = tmp_path / "run.safetensors"
    kept = Checkpoints(path)
    kept.write({"x": torch.ones(4)})
    kept.write({"x": torch.ones(4)})
    truncated(path)
    truncated(previous_of(path))
    with pytest.raises(OutputError, match=r"(?s)run\.safetensors: .*before it cannot be used either: .*run\.previous"):
        Checkpoints(path).read()


def test_a_new_run_leaves_no_older_runs_checkpoint_to_fall_back_on(tmp_path):
    path = tmp_path / "run.safetensors"
    first = Checkpoints(path)
    for number in range(3):
        first.write({"number": number})
    assert read_tree(previous_of(path)) == {"number": 1}
    Checkpoints(path).write({"number": 10})
    assert read_tree(path) == {"number": 10}
    assert not previous_of(path).exists()


def test_resume_true_starts_where_nothing_is_and_goes_on_where_something_is(tmp_path):
    path = tmp_path / "run.safetensors"
    assert not is_there(path)
    started = fit(model, guide, Y, checkpoint=path, resume=True, **OPTIONS)
    assert started.steps == 30
    pyro.clear_param_store()
    assert fit(model, guide, Y, checkpoint=path, resume=True, **OPTIONS).seconds == started.seconds
    with pytest.raises(OptionError, match="resume=True goes on"):
        fit(model, guide, Y, resume=True, **OPTIONS)
