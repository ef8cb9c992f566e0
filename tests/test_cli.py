"""The command line answers at once, and every bad input gets one clear message, exit code 2 and no file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import pyro_vae
from pyro_vae import cli
from pyro_vae.commands import COMMANDS

HEAD = """import pyro, torch
import pyro.distributions as dist
from pyro.distributions import constraints

def load():
    return {"y": torch.tensor([1.0, 2.0, 0.5])}

def model(y):
    mu = pyro.sample("mu", dist.Normal(0.0, 1.0))
    tau = pyro.sample("tau", dist.HalfNormal(1.0))
    with pyro.plate("row", 3):
        pyro.sample("y", dist.Normal(mu, tau), obs=y)
"""
LACKS_A_SITE = """
def guide(y):
    loc = pyro.param("loc", torch.tensor(0.0))
    pyro.sample("mu", dist.Normal(loc, 1.0))
"""
ONE_TOO_MANY = """
def guide(y):
    loc = pyro.param("loc", torch.tensor(0.0))
    pyro.sample("mu", dist.Normal(loc, 1.0))
    pyro.sample("tau", dist.LogNormal(loc, 1.0))
    pyro.sample("nu", dist.Normal(loc, 1.0))
"""
WRONG_SUPPORT = """
def guide(y):
    loc = pyro.param("loc", torch.tensor(1.0))
    pyro.sample("mu", dist.Normal(loc, 1.0))
    pyro.sample("tau", dist.Normal(loc, 1.0))
"""
WRONG_SHAPE = HEAD.replace('"row", 3)', '"row", 4)')
NO_LATENTS = """import pyro, torch
import pyro.distributions as dist

def load():
    return {"y": torch.tensor([1.0])}

def model(y):
    with pyro.plate("row", 1):
        pyro.sample("y", dist.Normal(0.0, 1.0), obs=y)
"""
BAD_PROGRAMS = {
    "does not import": ("x = undefined\n", ("mine.py", "line 1", "undefined")),
    "no model": ("x = 1\n", ("mine.py has no `model`", "Add `def model")),
    "guide lacks a latent": (HEAD + LACKS_A_SITE, ("guide", "'tau'")),
    "guide has one too many": (HEAD + ONE_TOO_MANY, ("guide", "'nu'", "is_auxiliary")),
    "guide's support does not fit": (HEAD + WRONG_SUPPORT, ("guide", "'tau'", "LogNormal")),
    "a shape does not fit its plate": (WRONG_SHAPE, ("'y'", "(4,)", "(3,)")),
    "NaN data": (HEAD.replace("2.0, 0.5", "float('nan'), 0.5"), ("mine.py", "'y'", "nan", "[1]")),
    "infinite data": (HEAD.replace("2.0, 0.5", "2.0, float('inf')"), ("mine.py", "'y'", "inf", "[2]")),
    "no latent sites": (NO_LATENTS, ("no ", "latent site")),
}


def words(text: str) -> str:
    """Text without its line breaks, which depend on the length of a path."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        pytest.param(command, *case, id=f"{command}: {name}")
        for command in ("compare", "fit", "nuts")
        for name, case in BAD_PROGRAMS.items()
        if not (command == "nuts" and "guide" in name)  # NUTS has none
    ],
)
def test_a_bad_program_is_exit_code_2_one_message_and_no_file(
    command: str,
    text: str,
    said: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, "mine.py", "--out", "out.nc", "--quiet"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert words(err).count("pyro-vae: ") == 1
    for part in said:
        assert part in words(err), err
    assert max(map(len, err.splitlines())) <= 80 + len(str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.py", "__pycache__"}


DISCRETE = """import pyro, torch
import pyro.distributions as dist

def load():
    return {"y": torch.tensor([1.0, 2.0])}

def model(y):
    switch = pyro.sample("switch", dist.Bernoulli(0.3))
    with pyro.plate("row", 2):
        pyro.sample("y", dist.Normal(switch, 1.0), obs=y)

def guide(y):
    pyro.sample("switch", dist.Bernoulli(logits=pyro.param("logit", torch.tensor(0.0))))
"""


def test_an_estimator_that_cannot_take_a_site_is_found_out_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(DISCRETE)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", "mine.py", "--estimator", "vimco,reparameterized", "--quiet"]) == 2
    err = words(capsys.readouterr().err)
    assert "pyro-vae: 'reparameterized': Reparameterized needs reparameterised sites" in err
    assert "at 'switch'" in err
    assert "Of the estimators given, these can take 'guide': vimco." in err
    assert not (tmp_path / "mine-report").exists()


BAD_OPTIONS = {
    "unknown program": (["compare", "eight_school"], "Nearest: eight_schools"),
    "unknown guide": (["compare", "bimodal", "--guide", "auto_norma"], "Nearest: auto_normal"),
    "unknown estimator": (["compare", "bimodal", "--estimator", "reparam"], "Nearest: reparameterized"),
    "unknown estimator of several": (
        ["compare", "bimodal", "--estimator", "dreg,reparam"],
        "Nearest: reparameterized",
    ),
    "an estimator twice": (["compare", "bimodal", "--estimator", "dreg,dreg"], "'dreg' is there twice"),
    "several with too few particles": (
        ["compare", "bimodal", "--estimator", "dreg,vimco", "--particles", "1"],
        "'vimco': VIMCO(pathwise=False) needs num_particles >= 2, got 1",
    ),
    "unknown estimator of fit": (["fit", "bimodal", "--estimator", "reparam"], "Nearest: reparameterized"),
    "no exact draws": (["compare", "eight_schools", "--baseline", "reference"], "has no exact draws"),
    "no such baseline": (["compare", "bimodal", "--baseline", "no_such.nc"], "no_such.nc: there is no such file"),
    "folder in a file": (["compare", "bimodal", "--out", "/dev/null/report"], "/dev/null/report cannot be written"),
    "fit into a file": (["fit", "bimodal", "--out", "/dev/null/x.nc"], "/dev/null/x.nc cannot be written"),
    "nuts into a folder": (["nuts", "bimodal", "--out", "/dev"], "/dev is a folder"),
    "a rate below 0": (["fit", "bimodal", "--learning-rate", "-1"], "learning_rate"),
    "a beta below 0": (["fit", "bimodal", "--beta", "-1"], "beta=-1"),
    "free bits below 0": (["fit", "bimodal", "--free-bits", "-1"], "free_bits=-1"),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_a_bad_option_is_exit_code_2_and_a_message(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started = time.perf_counter()
    assert cli.main([*arguments, "--quiet"]) == 2
    assert time.perf_counter() - started < 10, "it was found out only after the work"
    out, err = capsys.readouterr()
    assert out == ""
    assert said in words(err), err
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "thesis.tex").write_text("dear reader")
    assert cli.main(["compare", "bimodal", "--out", str(tmp_path)]) == 2
    assert "not a report's" in words(capsys.readouterr().err)
    assert (tmp_path / "thesis.tex").read_text() == "dear reader"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["compare"],
        ["compare", "x", "--steps", "-1"],
        ["compare", "x", "--seed", "a"],
        ["compare", "x", "--fail-on", "x"],
        ["nope"],
    ],
)
def test_a_bad_command_line_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: pyro-vae" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture) -> None:
    for arguments, expected in ((["--version"], f"pyro-vae {pyro_vae.__version__}"), (["--help"], "compare")):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 0
        assert expected in capsys.readouterr().out


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_fits_80_columns(command: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        cli.main([*command, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_help_imports_nothing_heavy() -> None:
    """In a fresh interpreter: what makes ``--help`` answer at once."""
    looked = (
        "import sys; from pyro_vae.cli import parser; parser().format_help(); "
        "print(sorted({'torch', 'pyro', 'numpy', 'xarray', 'rich', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", looked], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_list_leaves_without_an_error_when_its_reader_does() -> None:
    done = subprocess.run(
        f"{sys.executable} -u -m pyro_vae.cli list | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.returncode == 0
