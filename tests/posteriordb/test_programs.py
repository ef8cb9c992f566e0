"""Every program for posteriordb has the density of its Stan model, for one particle and for many."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from pyro_vae.catalogue import Program, catalogue_folder, load_program, posterior_programs
from pyro_vae.errors import ProgramError
from pyro_vae.particles import run_model
from pyro_vae.posteriordb import Posterior
from pyro_vae.potential import Potential
from pyro_vae.program_file import program_of_posterior
from tests.posteriordb.densities import CASES

FILES = {path.stem: path for path in posterior_programs().values()}


def program(stem: str) -> Program:
    """The program on made-up data."""
    return program_of_posterior(FILES[stem], Posterior(f"made_up-{stem}", stem, CASES[stem].data), f"made up {stem}")


def points(stem: str, rows: int, seed: int = 1) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [CASES[stem].point(rng) for _ in range(rows)]


def tensors(rows: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    return {name: torch.as_tensor(np.stack([row[name] for row in rows])) for name in rows[0]}


def test_there_is_a_density_by_hand_for_every_program() -> None:
    assert set(CASES) == set(FILES)


def test_the_twelve_and_most_others_with_reference_draws_are_there() -> None:
    assert len(posterior_programs()) >= 44
    assert {"arK-arK", "sblrc-blr", "nes1972-nes", "garch-garch11"} <= set(posterior_programs())


@pytest.mark.parametrize("stem", FILES)
def test_the_density_is_that_of_the_stan_model(stem: str) -> None:
    """Up to a constant: differences between points, in 64 bits, to 1e-8 of their size."""
    made, rows = program(stem), points(stem, 6)
    ours = run_model(made.model, (), dict(made.data), num_particles=6, values=tensors(rows)).log_p().numpy()
    theirs = np.array([CASES[stem].log_density(row, CASES[stem].data) for row in rows])
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-8, atol=1e-8)
    assert np.ptp(ours) > 0.1


@pytest.mark.parametrize("stem", FILES)
def test_many_particles_at_once_are_the_same_as_one_by_one(stem: str) -> None:
    made, values = program(stem), tensors(points(stem, 3))
    together = run_model(made.model, (), dict(made.data), num_particles=3, values=values, vectorize=True)
    apart = run_model(made.model, (), dict(made.data), num_particles=3, values=values, vectorize=False)
    torch.testing.assert_close(together.log_p(), apart.log_p())


@pytest.mark.parametrize("stem", FILES)
def test_chains_can_start_and_labels_fit(stem: str) -> None:
    made = program(stem)
    potential = Potential(made.model, (), made.data, compiled=False)
    assert set(potential.names) == set(points(stem, 1)[0])
    assert np.isfinite(potential.value_and_grad(potential.initial(1, seed=0)[0])[0])
    for name, dims in made.dims.items():
        for axis, dim in enumerate(dims):
            if name in potential.shapes and dim in made.coords:
                assert len(made.coords[dim]) == potential.shapes[name][axis], (name, dim)


def test_the_baseline_models_are_the_same_posteriors_in_other_coordinates() -> None:
    schools = program("eight_schools_centered")
    rows = tensors(points("eight_schools_centered", 5))
    steps = (rows["theta"] - rows["mu"][:, None]) / rows["tau"][:, None]
    moved = {"mu": rows["mu"], "tau": rows["tau"], "theta_trans": steps}
    _same(schools, rows, moved, 8 * rows["tau"].log())

    line = program("kilpisjarvi")
    rows = tensors(points("kilpisjarvi", 5))
    middle = rows["alpha"] + rows["beta"] * line.data["x"].mean()
    _same(line, rows, {"beta": rows["beta"], "sigma": rows["sigma"], "middle": middle}, torch.zeros(5))
    with_baseline = {stem for stem in FILES if program(stem).baseline_model is not None}
    assert with_baseline == {"eight_schools_centered", "kilpisjarvi"}


def _same(made: Program, here: dict[str, torch.Tensor], there: dict[str, torch.Tensor], jacobian: torch.Tensor) -> None:
    assert made.baseline_model is not None
    ours = run_model(made.model, (), dict(made.data), num_particles=5, values=here)
    moved = run_model(made.baseline_model, (), dict(made.data), num_particles=5, values=there)
    torch.testing.assert_close(moved.log_p(), ours.log_p() + jacobian)
    for name, value in moved.deterministic.items():
        torch.testing.assert_close(value.reshape(here[name].shape), here[name])


@pytest.mark.parametrize(
    ("stem", "site", "given"),
    [
        ("garch11", "weights", {"alpha1": lambda w: w[..., 0], "beta1": lambda w: w[..., 1]}),
        ("eight_schools_noncentered", "theta_trans", {"theta": None}),
        ("gp_pois_regr", "f_tilde", {"f": None}),
    ],
)
def test_sites_that_posteriordb_lacks_follow_from_its_draws(stem: str, site: str, given: dict) -> None:
    made = program(stem)
    values = tensors(points(stem, 4))
    run = run_model(made.model, (), dict(made.data), num_particles=4, values=values)
    theirs = {name: value.numpy().reshape(2, 2, *value.shape[1:]) for name, value in values.items() if name != site}
    for name in given:
        deterministic = run.deterministic[name].numpy()
        theirs[name] = deterministic.reshape(2, 2, *(deterministic.shape[1:] if deterministic[0].size > 1 else ()))
    posterior = Posterior(f"made_up-{stem}", stem, CASES[stem].data, draws=lambda: theirs)
    completed = program_of_posterior(FILES[stem], posterior, stem).reference_draws
    assert completed is not None
    np.testing.assert_allclose(completed()[site].reshape(values[site].shape), values[site], rtol=1e-5, atol=1e-5)


def test_a_program_for_posteriordb_loaded_as_a_file_says_how_to_name_it() -> None:
    with pytest.raises(ProgramError, match=r"nes\.py .* needs the data of one.*posteriordb:nes1972-nes --posteriordb"):
        load_program(FILES["nes"])


def test_the_programs_are_plain_pyro_with_a_source() -> None:
    for path in (catalogue_folder() / "posteriordb").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        story = ast.get_docstring(ast.parse(text)) or ""
        assert "pyro_vae" not in text, path.name
        if path.stem in FILES:
            assert "Source:" in story, path.name
            assert ".. math::" in story, path.name
            posteriors = [name for name, file in posterior_programs().items() if file == Path(path)]
            assert all(name in " ".join(story.split()) for name in posteriors), path.name
