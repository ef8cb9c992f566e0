"""Runs: a folder that a VAE is trained in goes on to the bit, is opened as it ended, and refuses other data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import pyro_vae as pv
from pyro_vae.studies.run_record import TrainingOptions

OPTIONS = {"batch_size": 100, "learning_rate": 0.05, "validation": 0.2, "seed": 3, "progress": False}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pv.Run:
    """Three epochs of the smallest program, in one go."""
    return pv.train_run("categorical_vae", tmp_path_factory.mktemp("runs") / "whole", epochs=3, **OPTIONS)


def same(first: pv.Run, second: pv.Run) -> bool:
    """Whether two runs ended alike, to the bit."""
    assert first.fit.values.keys() == second.fit.values.keys()
    equal = all(torch.equal(first.fit.values[name], second.fit.values[name]) for name in first.fit.values)
    same_history = (first.fit.history.bound == second.fit.history.bound).all()
    same_checks = (first.fit.validation == second.fit.validation).all()
    return bool(equal and same_history and same_checks and first.fit.bound == second.fit.bound)


def test_a_run_is_opened_as_it_ended(whole: pv.Run) -> None:
    run = pv.open_run(whole.folder)
    assert same(run, whole)
    assert run.finished
    assert run.kind == "arrays"
    assert run.x.shape == (800, 24)
    assert run.validation["x"].shape == (200, 24)  # pyright: ignore
    assert run.vae.size == 800
    together = torch.cat([run.x, run.validation["x"]])  # pyright: ignore
    assert sorted(together.tolist()) == sorted(run.program.data["x"].tolist())
    names = {path.name for path in run.folder.iterdir()}
    assert names >= {"run.json", "checkpoint.safetensors", "best.safetensors", "fit.safetensors", "history.csv"}
    bound = float((run.folder / "history.csv").read_text().splitlines()[1].split(",")[1])
    assert bound == run.fit.history.bound[0]


def test_the_fitted_values_are_in_the_vae(whole: pv.Run) -> None:
    run = pv.open_run(whole.folder)
    live = {f"vae$$${name}": value for name, value in run.vae.named_parameters()}
    assert live.keys() == run.fit.values.keys()
    assert all(torch.equal(live[name], run.fit.values[name]) for name in live)


def test_more_epochs_make_the_run_that_it_would_have_been(whole: pv.Run, tmp_path: Path) -> None:
    pv.train_run("categorical_vae", tmp_path / "run", epochs=1, **OPTIONS)
    assert same(pv.resume_run(tmp_path / "run", epochs=3, progress=False), whole)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["epochs"] == 3


def test_a_run_that_has_ended_is_opened_by_resume(whole: pv.Run) -> None:
    before = (whole.folder / "checkpoint.safetensors").read_bytes()
    assert same(pv.resume_run(whole.folder, progress=False), whole)
    assert (whole.folder / "checkpoint.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(whole: pv.Run, tmp_path: Path) -> None:
    shutil.copytree(whole.folder, tmp_path / "run")
    (tmp_path / "run" / "checkpoint.safetensors").write_bytes(b"cut short")
    with pytest.warns(UserWarning, match="Going on from the checkpoint before it"):
        run = pv.resume_run(tmp_path / "run", progress=False)
    assert same(run, whole)


def test_the_param_store_and_the_random_numbers_are_left_alone(whole: pv.Run) -> None:
    import pyro

    pyro.param("vae$$$mine", torch.tensor(1.0))
    state = torch.get_rng_state()
    pv.open_run(whole.folder)
    assert list(pyro.get_param_store()) == ["vae$$$mine"]
    assert torch.equal(torch.get_rng_state(), state)


REFUSED = {
    "fewer epochs": ({"epochs": 2}, "which can be raised and not lowered"),
    "steps of epochs": ({"steps": 100}, "the run counts epochs"),
}


@pytest.mark.parametrize(("more", "said"), REFUSED.values(), ids=REFUSED)
def test_what_a_run_cannot_become_is_refused(more: dict[str, int], said: str, whole: pv.Run) -> None:
    with pytest.raises(pv.OptionError, match=said):
        pv.resume_run(whole.folder, **more)


def test_a_falling_learning_rate_fixes_the_number_of_epochs(tmp_path: Path) -> None:
    run = pv.train_run("categorical_vae", tmp_path / "run", epochs=1, schedule="cosine", **OPTIONS)
    with pytest.raises(pv.OptionError, match=r"falls over its 1 epochs .* is another run"):
        pv.resume_run(run.folder, epochs=2)


def test_folders_that_are_no_runs_or_have_one_are_refused(whole: pv.Run, tmp_path: Path) -> None:
    with pytest.raises(pv.OutputError, match=r"is no run: it has no run\.json"):
        pv.open_run(tmp_path)
    with pytest.raises(pv.OutputError, match=r"has a run in it\. Go on with it: pyro-vae fit --resume"):
        pv.train_run("categorical_vae", whole.folder)
    (tmp_path / "thesis.tex").write_text("dear reader")
    with pytest.raises(pv.OutputError, match="has files in it that are no run's"):
        pv.train_run("categorical_vae", tmp_path)
    with pytest.raises(pv.OutputError, match="is there and is not a folder"):
        pv.train_run("categorical_vae", tmp_path / "thesis.tex")
    with pytest.raises(pv.OutputError, match="cannot be written"):
        pv.train_run("categorical_vae", "/dev/null/run")


def test_a_run_without_a_checkpoint_says_how_to_go_on(whole: pv.Run, tmp_path: Path) -> None:
    shutil.copy(whole.folder / "run.json", tmp_path)
    with pytest.raises(pv.OutputError, match=r"no checkpoint yet.*pyro-vae fit --resume"):
        pv.open_run(tmp_path)
    assert same(pv.resume_run(tmp_path, progress=False), whole)


def test_a_damaged_or_foreign_record_is_named(whole: pv.Run, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 1')
    with pytest.raises(pv.OutputError, match=r"run\.json: is damaged or was changed"):
        pv.open_run(tmp_path)
    record = json.loads((whole.folder / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**record, "format": 99}))
    with pytest.raises(pv.OutputError, match="another version of pyro-vae"):
        pv.open_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**record, "options": {"epoch": 1}}))
    with pytest.raises(pv.OutputError, match=r"run\.json: is damaged"):
        pv.open_run(tmp_path)


def test_data_that_have_changed_are_refused(tmp_path: Path) -> None:
    lines = ["a,b,c"] + [f"{i % 7},{i % 3},{i % 2}" for i in range(40)]
    table = tmp_path / "mine.csv"
    table.write_text("\n".join(lines))
    run = pv.train_run("linear_vae", tmp_path / "run", data=table, epochs=1, sizes={"latents": 2}, progress=False)
    assert pv.open_run(run.folder).rows.columns == ("a", "b", "c")
    table.rename(tmp_path / "moved.csv")
    with pytest.raises(pv.DataError, match=r"mine\.csv: there is no such file"):
        pv.open_run(run.folder)
    assert same(pv.open_run(run.folder, data=tmp_path / "moved.csv"), run)
    (tmp_path / "moved.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(pv.DataError, match=r"not those that the run was made with.*39 rows now, 40 then"):
        pv.open_run(run.folder, data=tmp_path / "moved.csv")


BAD_OPTIONS = {
    "no such option": ({"epoch": 3}, "epoch: no option of training"),
    "a share of 1": ({"validation": 1.0}, "validation: expected a share of the rows between 0 and 1"),
    "no rows left": ({"validation": 0.9999}, "leaves none of 1000 rows"),
    "no batch": ({"batch_size": 0}, "batch_size: expected a positive whole number"),
    "both": ({"epochs": 1, "steps": 1}, "give one of them"),
    "an unknown estimator": ({"estimator": "reparam"}, "Nearest: reparameterized"),
    "a rate below 0": ({"learning_rate": -1.0}, "learning_rate"),
    "a label of nothing": ({"label": "y"}, "give data too"),
}


@pytest.mark.parametrize(("options", "said"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_bad_option_is_named(options: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(pv.OptionError, match=said):
        pv.train_run("categorical_vae", tmp_path / "run", progress=False, **options)
    assert not (tmp_path / "run").exists()


def test_a_program_without_a_vae_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pv.ProgramError, match=r"eight_schools\.py has no build"):
        pv.train_run("eight_schools", tmp_path / "run")


def test_what_a_person_says_comes_before_what_the_program_proposes() -> None:
    proposed = {"epochs": 300, "learning_rate": 0.01}
    assert TrainingOptions.of(proposed, {"steps": 5, "learning_rate": None}).steps == 5
    assert TrainingOptions.of(proposed, {"steps": 5}).epochs is None
    assert TrainingOptions.of(proposed, {}).learning_rate == 0.01
    assert TrainingOptions.of({}, {}).epochs == 50
