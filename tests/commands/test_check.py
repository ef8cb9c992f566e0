"""``pyro-vae check``: findings for people at 80 columns, and an exit code for scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_vae import cli

PROGRAM = '''"""A program with two guides, one of them wrong."""
import pyro, torch
import pyro.distributions as dist
from pyro.distributions import constraints

def load():
    return {"y": torch.tensor([1.0, 2.0, 0.5])}

def model(y):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    with pyro.plate("row", 3):
        pyro.sample("y", dist.Normal(mu, 1.0), obs=y)

def wrong(y):
    scale = pyro.param("scale", torch.tensor(1.0))
    pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(0.0)), scale))

def right(y):
    scale = pyro.param("scale", torch.tensor(1.0), constraint=constraints.positive)
    pyro.sample("mu", dist.Normal(pyro.param("loc", torch.tensor(0.0)), scale))

def guides():
    return {"wrong": wrong, "right": right}
'''
CORRECTED = "scale = pyro.param('scale', torch.tensor(1.0),\n        constraint=constraints.positive)"


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)


def test_all_guides_are_checked_and_an_error_is_exit_code_1(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["check", "mine.py"]) == 1
    out = capsys.readouterr().out
    assert "1 error in model 'mine' and guide 'wrong':" in out
    assert "error: unconstrained  mine.py:15" in out
    assert "Nothing wrong was found with model 'mine' and guide 'right'." in out
    assert "With --fix-hints" in out
    assert CORRECTED not in out
    assert max(map(len, out.splitlines())) <= 80


def test_fix_hints_print_the_corrected_line(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["check", "mine.py", "--guide", "wrong", "--fix-hints"]) == 1
    out = capsys.readouterr().out
    assert CORRECTED in out
    assert "right" not in out


@pytest.mark.parametrize("guide", ["right", "auto_normal", "none", "right,none"])
def test_a_sound_pair_is_exit_code_0(guide: str, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["check", "mine.py", "--guide", guide]) == 0
    assert capsys.readouterr().out.count("Nothing wrong was found with model 'mine'") == len(guide.split(","))


def test_warnings_alone_are_exit_code_0(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    Path("mine.py").write_text(PROGRAM.replace("[1.0, 2.0, 0.5]", "[1.0, 2.0, 0.5], dtype=torch.float64"))
    assert cli.main(["check", "mine.py", "--guide", "right"]) == 0
    assert "1 warning in model 'mine' and guide 'right':" in capsys.readouterr().out


def test_an_unknown_guide_is_exit_code_2(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["check", "mine.py", "--guide", "wright"]) == 2
    assert "guide 'wright' is not known" in capsys.readouterr().err
