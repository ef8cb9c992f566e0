"""Ctrl-C on the command line: the fit so far is kept and it is said where, the exit code is 130, no report is begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pyro_vae as pv

# Each step waits, so that Ctrl-C comes while the fit runs, and after a while the model says that it does.
SLOW = """import os, pathlib, time
import pyro, torch
import pyro.distributions as dist

def load():
    return {"x": torch.tensor([1.0, 2.0, 3.0])}

calls = []

def model(x):
    calls.append(time.sleep(0.02))
    if len(calls) == 60 and "MARK" in os.environ:
        pathlib.Path(os.environ["MARK"]).touch()
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", 3):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)
"""


def interrupted(arguments: list[str], folder: Path) -> tuple[int, str]:
    """Run ``pyro-vae`` in ``folder`` and press Ctrl-C during the fit; the exit code and standard error."""
    folder.mkdir()
    (folder / "mine.py").write_text(SLOW)
    mark = folder.with_name("mark")
    source = str(Path(pv.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pyro_vae.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": source, "MARK": str(mark)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not mark.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    return process.returncode, " ".join(said.split())


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["compare", "mine.py", "--out", "report"], "report-interrupted/auto_normal.safetensors"),
        (["fit", "mine.py", "--save", "mine.fit"], "mine.fit"),
        pytest.param(["fit", "mine.py", "--out", "draws.nc"], "mine-interrupted.safetensors", marks=pytest.mark.slow),
    ],
    ids=["compare", "fit --save", "fit"],
)
def test_ctrl_c_keeps_the_fit_and_says_where(arguments: list[str], kept: str, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    code, said = interrupted(arguments, folder)
    assert code == 130, said
    assert "interrupted" in said
    assert kept in said
    assert "Traceback" not in said
    program = pv.load_program(folder / "mine.py")
    fit = pv.load_fit(folder / kept, program.model, "auto_normal", program.data)
    assert 1 <= fit.steps < 500
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {file for file in files if "__pycache__" not in file} == {"mine.py", kept}
