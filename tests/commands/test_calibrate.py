"""``pyro-vae calibrate``: what it prints, writes and refuses, and that it goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_vae import cli

PROGRAM = """import pyro, torch
import pyro.distributions as dist

def load():
    return {"y": torch.zeros(3)}

def model(y):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", 3):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)

def guides():
    return {"exact": exact, "high": high}

def exact(y, shift=0.0):
    idle = pyro.param("idle", torch.tensor(0.0))
    pyro.sample("z", dist.Normal(y.sum() / 4 + shift + 0 * idle, 0.5))

def high(y):
    exact(y, 2.0)
"""
SAID = ["calibrate", "mine.py", "--steps", "2", "--particles", "2", "--draws", "30", "--quiet"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_guide_has_a_table_a_verdict_and_a_folder(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main([*SAID, "--simulations", "20", "--guide", "exact,high", "--fail"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "exact, VSBC: Not biased, as far as 20 simulations can tell: z." in words
    assert "high, VSBC: Biased: z up (its truth lies below the posterior's median in 100 % of 20 simulations)" in words
    for guide in ("exact", "high"):
        files = {path.name for path in (folder / "mine-calibration" / guide).iterdir()}
        assert files == {"settings.json", "simulations", "summary.csv", "verdict.txt", "vsbc.png"}


def test_it_goes_on_only_when_told_to(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main([*SAID, "--simulations", "2", "--guide", "exact", "--out", "study"]) == 0
    assert cli.main([*SAID, "--simulations", "3", "--guide", "exact", "--out", "study"]) == 2
    assert "study already. --resume goes on" in " ".join(capsys.readouterr().err.split())
    assert cli.main([*SAID, "--simulations", "3", "--guide", "exact", "--out", "study", "--resume", "--fail"]) == 0
    assert len(list((folder / "study" / "exact" / "simulations").iterdir())) == 3
    assert cli.main([*SAID, "--simulations", "3", "--guide", "exact", "--out", "study", "--resume", "--seed", "1"]) == 2
    assert "seed was 0 and is now 1" in " ".join(capsys.readouterr().err.split())


def test_a_flat_prior_is_refused_naming_the_site(folder: Path, capsys: pytest.CaptureFixture) -> None:
    flat = "dist.ImproperUniform(dist.constraints.real, (), ())"
    (folder / "mine.py").write_text(PROGRAM.replace("dist.Normal(0.0, 1.0)", flat))
    assert cli.main([*SAID, "--guide", "exact"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Site 'z' has a flat prior" in err
    assert {path.name for path in folder.iterdir()} <= {"mine.py", "__pycache__"}
