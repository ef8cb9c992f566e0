"""``calibrate``: the same numbers whatever the processes and interruptions; and nothing is dropped in silence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import pyro
import pytest
import torch

import pyro_vae as pv
from pyro_vae.errors import ModelError, OptionError, OutputError
from pyro_vae.studies import CalibrationInterrupted
from pyro_vae.studies.calibration import study
from tests.studies.calibration import models
from tests.studies.calibration.models import Y

LOCK = threading.Lock()
QUICK = {"steps": 4, "stop": None, "num_particles": 2, "draws": 30, "seed": 3, "progress": False}


def calibrated(guide="auto_normal", model=models.conjugate, simulations=4, **options):
    return pv.calibrate(model, guide, Y, simulations=simulations, **{**QUICK, **options})


def outcome(calibration):
    """All of a study's records but the clock."""
    return [{key: value for key, value in record.items() if key != "seconds"} for record in calibration.records]


@pytest.fixture(scope="module")
def whole():
    return outcome(calibrated())


def test_a_study_has_a_table_a_verdict_and_a_picture(tmp_path: Path) -> None:
    found = calibrated(models.exact_guide, simulations=20, method="sbc", out=tmp_path / "study")
    assert list(found.pits) == ["z", "log-likelihood"]
    assert found.calibrated
    assert found.verdict.startswith("exact_guide, SBC: Calibrated, as far as 20 simulations can tell")
    assert found.summary().loc["z", "simulations"] == 20
    assert {path.name for path in (tmp_path / "study").iterdir()} == {
        "settings.json", "simulations", "summary.csv", "verdict.txt", "sbc.png",
    }  # fmt: skip
    assert (tmp_path / "study" / "verdict.txt").read_text().strip() == found.verdict


def test_a_guide_alone_is_asked_for_bias_in_parameters_alone() -> None:
    found = calibrated("auto_delta", simulations=3)
    assert found.method == "vsbc"
    assert list(found.pits) == ["z"]


def test_two_guides_see_the_same_data(whole) -> None:
    other = outcome(calibrated(models.exact_guide))
    assert [one["truth"] for one in other] == [one["truth"] for one in whole]


@pytest.mark.slow
def test_two_processes_give_what_one_gives_to_the_bit(whole, tmp_path: Path) -> None:
    assert outcome(calibrated(jobs=2, out=tmp_path / "two")) == whole
    program = pv.load_program("eight_schools_noncentered")  # a file that no process can import by name
    one, two = (pv.calibrate(program, "auto_normal", simulations=3, jobs=jobs, **QUICK) for jobs in (1, 2))
    assert outcome(one) == outcome(two)


@pytest.mark.parametrize("guide", ["auto_normal", "module"])
def test_a_study_that_goes_on_is_the_study_that_was_not_interrupted(guide: str, tmp_path: Path, whole) -> None:
    torch.manual_seed(1)
    module = models.Amortised()
    chosen = module if guide == "module" else guide
    expected = whole if guide == "auto_normal" else outcome(calibrated(chosen))
    calibrated(chosen, simulations=2, out=tmp_path / "study")
    assert outcome(calibrated(chosen, out=tmp_path / "study", resume=True)) == expected
    (tmp_path / "study" / "simulations" / "00001.json").unlink()  # a number of its own: the order does not matter
    assert outcome(calibrated(chosen, out=tmp_path / "study", resume=True)) == expected


def test_neither_guide_nor_store_nor_random_numbers_are_touched() -> None:
    module, random = models.Amortised(), torch.get_rng_state()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    pyro.get_param_store()["idle"] = torch.tensor(7.0)
    calibrated(module, simulations=2)
    calibrated(models.exact_guide, simulations=2)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert pyro.get_param_store()["idle"].item() == 7.0
    assert list(pyro.get_param_store()) == ["idle"]
    torch.manual_seed(0)
    assert random.shape == torch.get_rng_state().shape


def test_what_is_run_again_is_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = calibrated(out=tmp_path / "study")
    monkeypatch.setattr(study.Study, "run", None)
    again = calibrated(out=tmp_path / "study", resume=True)
    assert list(again.records) == list(first.records)
    other = calibrated(out=tmp_path / "study", resume=True, method="sbc")  # the simulations are the same
    assert "log-likelihood" in other.pits


def test_failures_are_reported_and_counted() -> None:
    found = calibrated(model=models.sometimes_impossible, simulations=8)
    assert 0 < len(found.failures) < 8
    assert len(found.records) == 8
    assert len(found.pits["z"]) == 8 - len(found.failures)
    assert all("these data are too much" in why for why in found.failures.values())
    assert f"{len(found.failures)} of 8 simulations failed and have no ranks" in found.verdict
    assert not found.calibrated


def test_when_every_simulation_fails_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ArithmeticError("no sum today")

    monkeypatch.setattr(study, "fit", broken)
    with pytest.raises(ModelError, match=r"Every simulation failed. The first one: ArithmeticError: no sum today"):
        calibrated()


def test_ctrl_c_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole) -> None:
    run = study.Study.run

    def interrupting(self, index: int):
        if index == 2:
            raise KeyboardInterrupt
        return run(self, index)

    monkeypatch.setattr(study.Study, "run", interrupting)
    with pytest.raises(CalibrationInterrupted, match=r"after 2 of 4 simulations.*resume=True") as stop:
        calibrated(out=tmp_path / "study")
    assert outcome(stop.value.calibration) == whole[:2]
    assert "2 of the 4 simulations that were asked for have been run" in stop.value.calibration.verdict
    monkeypatch.undo()
    assert outcome(calibrated(out=tmp_path / "study", resume=True)) == whole


KILLED = """
import sys
from tests.studies.calibration.test_calibrating import calibrated
if __name__ == "__main__":
    calibrated(simulations=6, jobs=2, out=sys.argv[1], resume=True)
"""


@pytest.mark.slow
def test_a_study_that_is_killed_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    root = Path(pv.__file__).parents[1]
    (tmp_path / "killed.py").write_text(KILLED)
    folder = tmp_path / "study"
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "killed.py"), str(folder)], env={**os.environ, "PYTHONPATH": str(root)}
    )
    deadline = time.monotonic() + 300
    while not list(folder.glob("simulations/*.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = list(folder.glob("simulations/*.json"))
    assert 1 <= len(kept) < 6
    assert all(json.loads(path.read_text())["error"] is None for path in kept)
    resumed = calibrated(simulations=6, out=folder, resume=True)
    assert outcome(resumed) == outcome(calibrated(simulations=6))
    assert not list(folder.rglob("*.part"))


def test_another_study_in_the_folder_is_refused_saying_in_what(tmp_path: Path) -> None:
    calibrated(simulations=2, out=tmp_path / "study")
    with pytest.raises(OptionError, match=r"holds a calibration study already. resume=True"):
        calibrated(simulations=2, out=tmp_path / "study")
    with pytest.raises(OptionError, match=r"another study.*seed was 3 and is now 4"):
        calibrated(simulations=2, out=tmp_path / "study", resume=True, seed=4)
    with pytest.raises(OptionError, match=r"another study.*model was 'conjugate .*' and is now 'scales"):
        calibrated(simulations=2, out=tmp_path / "study", resume=True, model=models.scales)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("dear reader")
    with pytest.raises(OutputError, match="holds no calibration study"):
        calibrated(simulations=2, out=tmp_path / "thesis")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["a.tex"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"simulations": 1}, "simulations: expected a whole number from 2"),
        ({"method": "abc"}, "method: expected 'sbc' or 'vsbc', got 'abc'"),
        ({"seed": -1}, "seed: expected a whole number from 0"),
        ({"level": 1.0}, "level: expected a number between 0 and 1"),
        ({"draws": 0}, "draws: expected a whole number from 1"),
        ({"guide": "auto_norma"}, "Nearest: auto_normal"),
        ({"resume": True}, "resume=True goes on from a folder"),
        ({"guide": lambda y, held=LOCK: None}, "cannot be copied for the simulations"),
    ],
)
def test_a_bad_option_is_named_before_the_work(options: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        calibrated(**options)


def test_a_model_that_learns_has_no_prior_to_simulate_from() -> None:
    with pytest.raises(ModelError, match="learns parameters of its own"):
        calibrated(model=models.learning)


def test_a_pair_that_does_not_fit_is_found_out_before_the_work() -> None:
    with pytest.raises(ModelError, match="'scale'"):
        calibrated(models.exact_guide, model=models.scales)


def test_threads_are_refused() -> None:
    threads = joblib.parallel_config("threading", n_jobs=2)
    with threads, pytest.raises(OptionError, match=r"ThreadingBackend.*shared by"):
        calibrated()
