"""Reading a clone of posteriordb, in its own layout and in the compact one, and what is told of a damaged one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pyro_vae import cli
from pyro_vae.catalogue import load_program, posterior_programs
from pyro_vae.errors import OptionError, OutputError, ProgramError, PyroVaeError
from pyro_vae.posteriordb import open_database
from pyro_vae.posteriordb.naming import arrays_of
from tests.posteriordb.clones import add, add_folder, plain
from tests.posteriordb.densities import CASES

NAME = "kidiq-kidscore_momhs"
DATA = CASES["kidscore_momhs"].data
DRAWS = {
    name: np.random.default_rng(i).normal(i + 1, 0.1, (3, 50)) for i, name in enumerate(("beta[1]", "beta[2]", "sigma"))
}


@pytest.fixture(autouse=True)
def no_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTERIORDB", raising=False)


@pytest.mark.parametrize("layout", [add, add_folder])
def test_both_layouts_give_data_reference_draws_and_means(layout: Callable, tmp_path: Path) -> None:
    program = load_program(f"posteriordb:{NAME}", posteriordb=layout(tmp_path, NAME, DATA, DRAWS))
    assert program.name == f"posteriordb:{NAME}"
    assert program.data["x"].shape == (23, 2)
    np.testing.assert_array_equal(program.data["y"], DATA["kid_score"])
    assert program.reference_draws is not None
    draws = program.reference_draws()
    assert draws["beta"].shape == (3, 50, 2)
    np.testing.assert_allclose(draws["beta"][..., 1], DRAWS["beta[2]"], rtol=1e-6)
    np.testing.assert_allclose(draws["sigma"], DRAWS["sigma"], rtol=1e-6)
    assert program.reference is not None
    known = program.reference["parameters"]
    assert list(known) == ["beta[intercept]", "beta[high school]", "sigma"]
    assert known["beta[high school]"]["mean"] == pytest.approx(DRAWS["beta[2]"].mean())


def test_the_folder_inside_and_the_environment_variable_serve_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, NAME, DATA, DRAWS)
    assert open_database(tmp_path / "posterior_database").names() == [NAME]
    monkeypatch.setenv("POSTERIORDB", str(tmp_path))
    assert load_program(f"posteriordb:{NAME}").name == f"posteriordb:{NAME}"


def test_an_alias_and_the_draws_of_another_posterior_are_followed(tmp_path: Path) -> None:
    theirs = {"mu": np.ones((2, 5)), "tau": np.ones((2, 5)), **{f"theta[{j}]": np.ones((2, 5)) for j in range(1, 9)}}
    schools = CASES["eight_schools_centered"].data
    add(tmp_path, "eight_schools-eight_schools_noncentered", schools, theirs)
    add(
        tmp_path,
        "eight_schools-eight_schools_centered",
        schools,
        None,
        reference="eight_schools-eight_schools_noncentered",
    )
    plain(tmp_path / "posterior_database/alias/posteriors.json", {"8": "eight_schools-eight_schools_noncentered"})
    program = load_program("posteriordb:8", posteriordb=tmp_path)
    assert program.name == "posteriordb:eight_schools-eight_schools_noncentered"
    centered = load_program("posteriordb:eight_schools-eight_schools_centered", posteriordb=tmp_path)
    assert centered.reference_draws is not None
    assert centered.reference_draws()["theta"].shape == (2, 5, 8)


def test_data_under_another_name_find_the_program_of_their_model(tmp_path: Path) -> None:
    assert "mine-kidscore_momhs" not in posterior_programs()
    add(tmp_path, "mine-kidscore_momhs", DATA, None)
    program = load_program("posteriordb:mine-kidscore_momhs", posteriordb=tmp_path)
    assert program.reference_draws is None
    assert not program.has_reference


def test_without_a_clone_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    for path in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(OptionError, match=r"git clone https://github\.com/stan-dev/posteriordb"):
            load_program(f"posteriordb:{NAME}", posteriordb=path)


def test_names_that_there_are_not(tmp_path: Path) -> None:
    add(tmp_path, NAME, DATA, DRAWS)
    add(tmp_path, "sir-sir", {}, None)
    (tmp_path / "posterior_database/data/data/sir.json.zip").unlink()
    with pytest.raises(ProgramError, match=rf"'kidiq-kidscore_momh'.*Nearest: {NAME}"):
        load_program("posteriordb:kidiq-kidscore_momh", posteriordb=tmp_path)
    with pytest.raises(ProgramError, match="sir-sir is in posteriordb, but there is no Pyro program for its model sir"):
        load_program("posteriordb:sir-sir", posteriordb=tmp_path)
    with pytest.raises(ProgramError, match="Say which posterior"):
        load_program("posteriordb:", posteriordb=tmp_path)
    with pytest.raises(ProgramError, match=r"takes no sizes.*width"):
        load_program(f"posteriordb:{NAME}", posteriordb=tmp_path, width=3)
    compact = add_folder(tmp_path / "compact", NAME, DATA, DRAWS)
    with pytest.raises(ProgramError, match=f"Nearest: {NAME}"):
        load_program("posteriordb:kidiq-kidscore_mom", posteriordb=compact)


BASE = "posterior_database"
DAMAGE = {
    "no json": (f"{BASE}/posteriors/{NAME}.json", b"{\n", r"momhs\.json, line 2: not JSON"),
    "no model": (f"{BASE}/posteriors/{NAME}.json", b"{}", r"momhs\.json: expected an entry 'model_name'"),
    "no zip": (f"{BASE}/data/data/kidiq.json.zip", b"nothing", r"kidiq\.json\.zip cannot be read: File is not a zip"),
    "no data": (f"{BASE}/data/data/kidiq.json.zip", None, r"kidiq\.json: expected this file, or kidiq\.json\.zip"),
    "cut draws": (f"{BASE}/reference_posteriors/draws/draws/{NAME}.json.zip", 200, r"momhs\.json\.zip cannot be read"),
}


@pytest.mark.parametrize(("file", "content", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named(file: str, content: bytes | int | None, message: str, tmp_path: Path) -> None:
    path = add(tmp_path, NAME, DATA, DRAWS) / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    with pytest.raises(OutputError, match=message):
        _draws(tmp_path)


@pytest.mark.parametrize(
    ("chains", "message"),
    [
        ({"mu": [1]}, "expected a list of chains"),
        ([{"mu": [1, 2]}, {"mu": [1]}], "as many draws in every chain"),
        ([{"mu": [1]}, {"nu": [1]}], "the same parameters"),
        ([{"beta[1]": [1], "beta[3]": [1]}], "entries of beta are not a whole array"),
        ([{"beta 1": [1]}], "expected names such as mu"),
    ],
)
def test_draws_that_are_no_draws_are_refused(chains: object, message: str, tmp_path: Path) -> None:
    add(tmp_path, NAME, DATA, DRAWS)
    folder = tmp_path / BASE / "reference_posteriors/draws/draws"
    (folder / f"{NAME}.json.zip").unlink()
    plain(folder / f"{NAME}.json", chains)
    with pytest.raises(OutputError, match=rf"momhs\.json: .*{message}"):
        _draws(tmp_path)


def test_damaged_compact_draws_are_named(tmp_path: Path) -> None:
    (add_folder(tmp_path, NAME, DATA, DRAWS) / NAME / "draws.npz").write_bytes(b"PK")
    with pytest.raises(OutputError, match=r"draws\.npz cannot be read"):
        _draws(tmp_path)


def _draws(root: Path) -> None:
    program = load_program(f"posteriordb:{NAME}", posteriordb=root)
    assert program.reference_draws is not None
    program.reference_draws()


def test_matrices_are_put_together_by_their_indices() -> None:
    scalars = {f"w[{i},{j}]": np.array([10.0 * i + j]) for j in (1, 2, 3) for i in (1, 2)}
    np.testing.assert_array_equal(arrays_of(scalars, file="x")["w"], [[[11, 12, 13], [21, 22, 23]]])


def test_list_names_the_posteriors_and_with_a_clone_those_it_has(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(name in " ".join(out.split()) for name in posterior_programs())
    add(tmp_path, NAME, DATA, DRAWS)
    assert cli.main(["list", "--posteriordb", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert NAME in out
    assert "arK-arK" not in out


def test_the_commands_answer_without_a_traceback(capsys: pytest.CaptureFixture) -> None:
    for command in ("compare", "fit", "nuts"):
        assert cli.main([command, f"posteriordb:{NAME}"]) == 2
        assert "git clone" in capsys.readouterr().err
    assert issubclass(OptionError, PyroVaeError)
