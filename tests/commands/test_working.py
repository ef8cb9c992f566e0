"""The commands at work, on programs that are quick: what they print, write and return."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_vae import cli
from pyro_vae.catalogue import load_program
from pyro_vae.commands import compare
from pyro_vae.diagnostics import Verdict
from pyro_vae.posterior import load
from pyro_vae.training import load_fit


def fits_80_columns(text: str) -> bool:
    """Whether nothing that is printed is cut or folded on a terminal of 80 columns."""
    return max(map(len, text.splitlines())) <= 80


def test_compare_prints_the_verdict_and_writes_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ["compare", "bimodal", "--guide", "auto_normal", "--steps", "400", "--guide-draws", "2000"]
    assert cli.main([*said, "--quiet", "--fail-on", "untrusted"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert fits_80_columns(out)
    assert "untrusted" in out
    assert "misses a mode of x" in " ".join(out.split())
    assert "bimodal-report/report.html" in out
    folder = tmp_path / "bimodal-report"
    assert {path.name for path in folder.iterdir()} == {"report.html", "figures", "draws", "summary.csv"}
    assert load(folder / "draws" / "auto_normal.nc")["posterior"]["x"].shape == (1, 2000)


def test_compare_of_estimators_prints_both_tables_and_writes_the_third(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = ["compare", "bimodal", "--estimator", "reparameterized, dreg", "--steps", "300", "--guide-draws", "2000"]
    assert cli.main([*said, "--quiet", "--out", str(tmp_path / "report"), "--fail-on", "untrusted"]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert fits_80_columns("\n".join(line for line in out.splitlines() if str(tmp_path) not in line))
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "estimator own bound ELBO k-hat verdict"
    assert any(line.startswith(("dreg yes", "dreg no")) for line in lines)
    assert {"report.html", "estimators.csv"} <= {path.name for path in (tmp_path / "report").iterdir()}
    assert load(tmp_path / "report" / "draws" / "dreg.nc")["posterior"]["x"].shape == (1, 2000)


def test_nuts_does_not_run_beside_estimators_whose_time_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def never(*args: object) -> None:
        raise AssertionError("NUTS was started beside the fits")

    monkeypatch.setattr(compare, "nuts_alongside", never)
    assert cli.main(["compare", "bimodal", "--estimator", "iwae,drek", "--quiet"]) == 2
    with pytest.raises(AssertionError, match="beside the fits"):
        cli.main(["compare", "bimodal", "--estimator", "drek", "--quiet"])


@pytest.mark.parametrize(
    ("level", "fail_on", "failed"),
    [
        ("trusted", None, False),
        ("untrusted", None, False),
        ("trusted", "reweight", False),
        ("reweight", "reweight", True),
        ("reweight", "untrusted", False),
        ("untrusted", "untrusted", True),
        ("none", "untrusted", True),
        ("untrusted", "none", False),
        ("none", "none", True),
    ],
)
def test_fail_on_means_this_level_or_worse(level: str, fail_on: str | None, failed: bool) -> None:
    class Judged:
        verdicts = {"good": Verdict("trusted", "", None), "other": Verdict(level, "", None)}  # pyright: ignore

    assert compare._failed(Judged(), fail_on) is failed  # pyright: ignore


def test_fit_prints_the_posterior_and_writes_fit_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    fit_file, draws_file = tmp_path / "a.fit", tmp_path / "new folder" / "draws.nc"
    said = ["fit", "linear_regression", "--guide", "auto_multivariate_normal", "--steps", "1000", "--quiet"]
    assert cli.main([*said, "--draws", "500", "--save", str(fit_file), "--out", str(draws_file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert fits_80_columns("\n".join(line for line in out.splitlines() if str(tmp_path) not in line))
    assert "beta[weight]" in out
    assert load(draws_file)["posterior"]["beta"].shape == (1, 500, 5)
    program = load_program("linear_regression")
    fit = load_fit(fit_file, program.model, "auto_multivariate_normal", program.data)
    # KL to the exact posterior is about .003 nats with these steps
    assert fit.bound == pytest.approx(program.reference["log_evidence"]["value"], abs=0.05)  # pyright: ignore


@pytest.mark.slow
def test_what_nuts_writes_can_be_the_baseline(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    saved = tmp_path / "nuts.nc"
    sampling = ["--chains", "4", "--draws", "500", "--warmup", "300"]
    assert cli.main(["nuts", "linear_regression", *sampling, "--out", str(saved), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert fits_80_columns("\n".join(line for line in out.splitlines() if str(tmp_path) not in line))
    assert "The chains count as a baseline." in out
    tree = load(saved)
    assert tree["posterior"]["beta"].shape == (4, 500, 5)
    assert list(tree["posterior"]["column"].values)[-1] == "weight"

    said = ["compare", "linear_regression", "--guide", "auto_normal", "--steps", "800", "--quiet"]
    code = cli.main([*said, "--baseline", str(saved), "--out", str(tmp_path / "report"), "--fail-on", "untrusted"])
    assert code == 1
    assert "too small by a factor" in capsys.readouterr().out


def test_gradients_prints_its_tables_and_writes_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    said = ["gradients", "linear_regression", "--estimators", "reparameterized, score-function", "--draws", "20"]
    out = str(tmp_path / "study")
    assert cli.main([*said, "--at", "start", "--particles", "4", "--quiet", "--out", out]) == 0
    printed, err = capsys.readouterr()
    assert err == ""
    assert fits_80_columns("\n".join(line for line in printed.splitlines() if str(tmp_path) not in line))
    assert printed.startswith("At the start, the guide's gradient (")
    assert "ELBO: reparameterized. At the start it has" in " ".join(printed.split())
    assert {"gradients.csv", "parameters.csv", "gradients_guide.png"} <= {path.name for path in Path(out).iterdir()}


def test_gradients_of_an_estimator_that_is_not_there_or_cannot_be_used(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["gradients", "linear_regression", "--estimators", "reparametrised", "--quiet"]) == 2
    assert "Nearest: reparameterized" in " ".join(capsys.readouterr().err.split())
    assert cli.main(["gradients", "linear_regression", "--estimators", "vimco", "--particles", "1", "--quiet"]) == 2
    assert "vimco: VIMCO(pathwise=False) needs num_particles >= 2" in " ".join(capsys.readouterr().err.split())
