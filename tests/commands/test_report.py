"""``pyro-vae report``: what it prints, what it writes, what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_vae import cli
from tests.commands.test_working import fits_80_columns

QUICK = ["--rows", "30", "--nuts-rows", "0", "--gap-rows", "2", "--particles", "4", "--quiet"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps."""
    folder = tmp_path_factory.mktemp("work") / "run"
    said = ["fit", "vae_digits", "--size", "hidden=8", "--size", "latents=2", "--epochs", "2", "--batch-size", "600"]
    assert cli.main([*said, "--validation", "0.1", "--out", str(folder), "--quiet"]) == 0
    return folder


def test_it_prints_the_findings_and_writes_a_folder(trained: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["report", str(trained), *QUICK]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    fits_80_columns(out)
    for about in ("The code: ", "The encoder: not judged", "The samples: ", "The evidence: ", "KL(q(z) ‖ p(z))"):
        assert about in out
    folder = trained / "report"
    assert {path.name for path in folder.iterdir()} == {"report.html", "figures", "latents.csv", "verdict.txt"}
    assert {"latents.png", "terms.png", "map.png", "reconstructions.png"} <= {
        path.name for path in (folder / "figures").iterdir()
    }
    assert "vae_digits" in (folder / "report.html").read_text(encoding="utf-8")


def test_it_says_what_it_is_doing(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["report", str(trained), *QUICK[:-1], "--out", str(tmp_path / "new")]) == 0
    assert "optimising q(z) of single rows" in capsys.readouterr().err
    assert (tmp_path / "new" / "report.html").is_file()


def test_a_folder_that_is_no_run_or_that_has_other_files_is_named(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["report", str(tmp_path / "none"), "--out", str(tmp_path / "new")]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err
    (tmp_path / "mine.txt").write_text("mine")
    assert cli.main(["report", str(trained), "--out", str(tmp_path)]) == 2
    assert "has files in it that are not a report's" in " ".join(capsys.readouterr().err.split())
