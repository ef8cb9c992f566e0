"""compare on reference draws: they are the default, count as MCMC draws do, and judge under the program's labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import pyro_vae as pv
from pyro_vae import cli
from pyro_vae.catalogue import Program
from pyro_vae.diagnostics import check_baseline
from pyro_vae.plots.draws import baseline_name
from pyro_vae.studies.baselines import baseline_draws, check_baseline_option
from pyro_vae.studies.options import options_of
from tests.posteriordb.clones import add
from tests.posteriordb.densities import CASES

NAME = "kidiq_with_mom_work-kidscore_interaction_z"
DATA = dict(CASES["kidscore_interaction_z"].data)
DATA["kid_score"] = [(score - 90) / 30 for score in DATA["kid_score"]]  # near 0, where fits start


def exact(chains: int, draws: int) -> dict[str, np.ndarray]:
    """Exact draws of the posterior of a regression with flat priors of beta and sigma, by posteriordb's names.

    1 / sigma^2 is Gamma((N - D - 1) / 2, rate RSS / 2), and beta given sigma normal around least squares.
    """
    school, iq = (np.array(DATA[name], dtype=float) for name in ("mom_hs", "mom_iq"))
    school, iq = ((value - value.mean()) / (2 * value.std(ddof=1)) for value in (school, iq))
    x, y = np.stack([np.ones_like(iq), school, iq, school * iq], -1), np.array(DATA["kid_score"])
    inverse = np.linalg.inv(x.T @ x)
    least = inverse @ x.T @ y
    rng = np.random.default_rng(5)
    squares = ((y - x @ least) ** 2).sum()
    sigma = 1 / np.sqrt(rng.gamma((len(y) - x.shape[1] - 1) / 2, 2 / squares, (chains, draws)))
    noise = rng.normal(size=(chains, draws, 4)) @ np.linalg.cholesky(inverse).T
    beta = least + sigma[..., None] * noise
    return {**{f"beta[{k + 1}]": beta[..., k] for k in range(4)}, "sigma": sigma}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return add(tmp_path / "clone", NAME, DATA, exact(10, 200))


def reference_of(program: Program) -> xr.DataTree:
    """The baseline that ``compare`` would make of the reference draws."""
    nuts = {"engine": "nutpie", "chains": 4, "draws": 1000, "warmup": 1000, "target_accept": 0.8}
    options = options_of(seed=0, refit=True, guide_draws=100, progress=False, stop="auto", fit={}, nuts=nuts)
    return baseline_draws("reference", program, program.data, options)


def test_reference_draws_count_as_chains_do_under_the_programs_labels(clone: Path) -> None:
    program = pv.load_program(f"posteriordb:{NAME}", posteriordb=clone)
    assert check_baseline_option(None, program) == "reference"
    tree = reference_of(program)
    health = check_baseline(tree)
    assert health.counts
    assert not health.exact
    assert 0.99 < health.max_rhat < 1.01
    assert 1500 < health.min_ess_bulk < 2600  # of 2000 independent draws
    assert set(health.unchecked) == {"divergences", "E-BFMI"}
    assert "10 chains of 200 draws" in tree.attrs["how"]
    assert baseline_name(tree) == "reference draws"
    assert tree["posterior"]["beta"].dims == ("chain", "draw", "coefficient")
    np.testing.assert_array_equal(tree["posterior"]["beta"].values[..., 2], exact(10, 200)["beta[3]"])
    assert {"log_likelihood", "posterior_predictive"} <= set(tree.children)
    assert "prior" not in tree.children  # flat priors have no draws


@pytest.mark.slow
def test_a_guide_is_judged_on_the_reference_draws(clone: Path) -> None:
    """beta and log sigma are near enough to normal that a full-rank guide is trusted, with room to spare."""
    program = pv.load_program(f"posteriordb:{NAME}", posteriordb=clone)
    guides = ["auto_multivariate_normal"]
    found = pv.compare(program, guides=guides, steps=1000, guide_draws=2000, seed=0, progress=False)
    assert found.verdicts["auto_multivariate_normal"].level == "trusted"
    assert "beta[high school x IQ]" in found.summary().index.get_level_values(-1)
    assert found.content().exact_means["beta[IQ]"] == pytest.approx(exact(10, 200)["beta[3]"].mean())


def test_too_few_reference_draws_do_not_count(tmp_path: Path) -> None:
    program = pv.load_program(f"posteriordb:{NAME}", posteriordb=add(tmp_path, NAME, DATA, exact(4, 50)))
    health = check_baseline(reference_of(program))
    assert not health.counts
    assert any("effective sample size" in reason for reason in health.reasons)


def test_a_posterior_without_reference_draws_says_so(tmp_path: Path) -> None:
    clone = add(tmp_path, NAME, DATA, None)
    program = pv.load_program(f"posteriordb:{NAME}", posteriordb=clone)
    with pytest.raises(pv.OptionError, match=f"no reference draws of {NAME}.*NUTS"):
        pv.compare(program, baseline="reference", steps=10)


def test_other_data_leave_the_reference_draws_behind(clone: Path) -> None:
    from pyro_vae.studies.inputs import program_of

    program = pv.load_program(f"posteriordb:{NAME}", posteriordb=clone)
    assert program.has_reference
    assert not program_of(program, dict(program.data)).has_reference


def test_reference_draws_that_lack_a_site_name_it(tmp_path: Path) -> None:
    draws = {name: value for name, value in exact(4, 200).items() if name != "sigma"}
    program = pv.load_program(f"posteriordb:{NAME}", posteriordb=add(tmp_path, NAME, DATA, draws))
    with pytest.raises(pv.ProgramError, match="reference draws have nothing for site 'sigma'"):
        reference_of(program)


@pytest.mark.slow
def test_the_command_compares_on_the_reference_draws(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    said = ["compare", f"posteriordb:{NAME}", "--posteriordb", str(clone), "--guide", "auto_normal", "--quiet"]
    assert cli.main([*said, "--steps", "300", "--out", str(tmp_path / "report")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"Reference draws of posteriordb:{NAME}: 10 chains of 200 draws" in out
    assert (tmp_path / "report" / "report.html").is_file()
