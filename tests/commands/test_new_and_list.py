"""``pyro-vae list`` names every program; ``pyro-vae new`` writes one that runs as it is and never overwrites."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_vae import cli
from pyro_vae.catalogue import catalogue, load_program
from pyro_vae.particles import run_model
from pyro_vae.training import fit


def test_list_names_every_program_in_80_columns(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    firsts = {line.split()[0] for line in lines if line and not line.startswith(" ")}
    assert set(catalogue()) <= firsts
    assert max(map(len, lines[:-1])) <= 80


def test_a_new_program_runs_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "mine.py"
    assert cli.main(["new", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    program = load_program(path)
    particles = run_model(program.model, (), program.data, num_particles=5, vectorize=True)
    assert particles.log_p().isfinite().all()
    assert program.story.startswith("How fast does a kettle cool?")


def test_the_guide_in_the_new_program_works_once_its_comment_signs_go(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    cli.main(["new", str(path)])
    lines = path.read_text().splitlines()
    first = lines.index("# def guide(minutes, temperature):")
    last = next(index for index in range(first, len(lines)) if not lines[index].startswith("#"))
    lines[first:last] = [line.removeprefix("# ") for line in lines[first:last]]
    path.write_text("\n".join(lines))
    program = load_program(path)
    result = fit(program.model, program.guides["guide"], program.data, steps=50, seed=0)
    assert result.bound > -10_000


def test_new_does_not_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "mine.py"
    path.write_text("precious")
    assert cli.main(["new", str(path)]) == 2
    assert "is there already" in " ".join(capsys.readouterr().err.split())
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["mine.txt", "/dev/null/mine.py"])
def test_new_says_which_path_it_cannot_write(name: str, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["new", name]) == 2
    assert name in capsys.readouterr().err
