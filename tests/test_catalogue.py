"""The route from a name or a path to a program, and what each kind of broken program is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from pyro_vae.catalogue import catalogue, catalogue_folder, load_program
from pyro_vae.errors import DataError, ProgramError

GOOD = '''"""The title.

The rest of the story.
"""
import pyro, torch
import pyro.distributions as dist

coords = {"row": ["a", "b"]}
dims = {"z": ["row"]}

def load():
    return {"x": torch.tensor([1.0, 2.0])}

def model(x):
    with pyro.plate("row", 2):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)

def other(x):
    pass

def guide(x):
    pass

def guides():
    return {"full": "auto_multivariate_normal"}
'''


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_catalogue_lists_what_its_folder_holds_with_the_first_line_of_each_story() -> None:
    found = catalogue()
    assert set(found) == {path.stem for path in catalogue_folder().glob("*.py")}
    assert {"eight_schools", "eight_schools_noncentered", "logistic_regression"} <= set(found)
    assert {"linear_regression", "funnel", "bimodal"} <= set(found)
    assert all(story and story.isprintable() for story in found.values())


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_program_of_the_catalogue_loads_with_its_reference(name: str) -> None:
    program = load_program(name)
    assert program.name == name
    assert program.story.startswith(catalogue()[name])
    assert "Source:" in program.story
    assert program.reference is not None
    assert program.reference["program"] == name


def test_a_file_gives_its_model_guides_data_and_labels(tmp_path: Path) -> None:
    program = load_program(write(tmp_path, GOOD))
    assert program.name == "mine"
    assert program.path == tmp_path / "mine.py"
    assert program.model.__name__ == "model"
    assert program.data["x"].tolist() == [1.0, 2.0]
    assert list(program.guides) == ["guide", "full"]
    assert program.coords == {"row": ["a", "b"]}
    assert program.dims == {"z": ["row"]}
    assert program.story == "The title.\n\nThe rest of the story."
    assert program.reference is None
    assert program.baseline_model is None


def test_a_relative_path_means_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert load_program("mine.py").path == tmp_path / "mine.py"


def test_another_model_of_the_file_is_taken_by_name(tmp_path: Path) -> None:
    program = load_program(f"{write(tmp_path, GOOD)}:other")
    assert program.model.__name__ == "other"
    assert program.name == "mine:other"


def test_a_program_can_import_its_neighbour_and_the_path_is_left_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, "SCALE = 2.0\n", "neighbour_of_mine.py")
    before = list(sys.path)
    program = load_program(write(tmp_path, "from neighbour_of_mine import SCALE\n" + GOOD))
    assert program.model is not None
    assert sys.path == before


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ProgramError, match=r"'eight_school' in the catalogue. Nearest: eight_schools"):
        load_program("eight_school")


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(ProgramError, match=r"There are: bimodal, .*eight_schools, .*vae_digits\. .*mine\.py"):
        load_program("qqq")


BROKEN = {
    "syntax": ("def model(:\n", r"mine\.py does not import: mine\.py, line 1: "),
    "name": (
        "import pyro\n\nx = undefined_thing\n",
        r"mine\.py does not import, line 3: `x = undefined_thing`: NameError",
    ),
    "import": ("import no_such_package\n", r"mine\.py does not import, line 1: .*ModuleNotFoundError.*no_such_package"),
    "exit": ("raise SystemExit(3)\n", r"mine\.py does not import, line 1: .*SystemExit: 3"),
    "empty": ("", r"mine\.py has no `model`. Add `def model"),
    "near": (
        "def my_model(x):\n    pass\n",
        r"mine\.py has no `model`. If `my_model` is the model, say mine\.py:my_model",
    ),
    "number": ("model = 3\n", r"mine\.py: `model` is a int; expected a function"),
    "load fails": (
        "def model():\n    pass\n\ndef load():\n    return 1 / 0\n",
        r"fails in load\(\), line 5: .*ZeroDivisionError",
    ),
    "load list": (
        "def model():\n    pass\n\ndef load():\n    return [1]\n",
        r"load\(\) must return a dict .* got list",
    ),
    "arguments": (
        "def model(x, sigma):\n    pass\n\ndef load():\n    return {'x': 1}\n",
        r"mine\.py: model\(x, sigma\) cannot be called with what load\(\) returns \(x\): missing .*'sigma'",
    ),
    "no load": ("def model(x):\n    pass\n", r"cannot be called with what load\(\) returns \(nothing\)"),
    "guide": ("def model():\n    pass\n\nguide = 3\n", r"guide 'guide' is a int; expected a function"),
}


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_told_what_is_wrong_and_where(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=message):
        load_program(write(tmp_path, text))


def test_nan_data_is_refused_naming_file_argument_and_index(tmp_path: Path) -> None:
    text = (
        "import torch\n\ndef model(x):\n    pass\n\ndef load():\n    return {'x': torch.tensor([1.0, float('nan')])}\n"
    )
    with pytest.raises(DataError, match=r"mine\.py, load\(\): Data argument 'x'.*nan at index \[1\]"):
        load_program(write(tmp_path, text))


def test_a_broken_reference_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    write(tmp_path / "reference", "{\n", "mine.json")
    with pytest.raises(ProgramError, match=r"mine\.json, line 2: not JSON"):
        load_program(write(tmp_path, GOOD))


BUILDS = """import pyro, torch
import pyro.distributions as dist


class Pair:
    def __init__(self, scale):
        self.scale = scale

    def model(self, x):
        pyro.sample("x", dist.Normal(pyro.sample("z", dist.Normal(0.0, 1.0)), self.scale), obs=x)

    def guide(self, x):
        pyro.sample("z", dist.Normal(0.0, 1.0))


def load():
    return {"x": torch.tensor(1.0)}


def build(scale=None):
    return Pair(torch.rand(()).item() if scale is None else scale)
"""


def test_a_program_that_builds_gives_the_model_and_guide_of_what_it_made(tmp_path: Path) -> None:
    path = write(tmp_path, BUILDS)
    state = torch.get_rng_state()
    program, again = load_program(path), load_program(path)
    assert torch.equal(state, torch.get_rng_state())
    assert program.model == program.vae.model
    assert program.guides == {"guide": program.vae.guide}
    assert program.vae.scale == again.vae.scale
    assert load_program(path, scale=3.0).vae.scale == 3.0
    assert load_program("eight_schools").vae is None


def test_sizes_that_a_program_does_not_take_are_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"build\(scale=None\) cannot be called with width: .*'width'"):
        load_program(write(tmp_path, BUILDS), width=3)
    with pytest.raises(ProgramError, match=r"mine\.py takes no sizes: it has no `build`. Got width"):
        load_program(write(tmp_path, GOOD), width=3)
    text = BUILDS.replace("return Pair(", "return str(")
    with pytest.raises(ProgramError, match=r"build\(\) must return a pv.VAE.*got '0"):
        load_program(write(tmp_path, text))
    with pytest.raises(ProgramError, match=r"fails in build\(\), line 21: .*ZeroDivisionError"):
        load_program(write(tmp_path, BUILDS.replace("return Pair(", "return 1 / 0 or (")))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ProgramError, match=r"mein\.py: there is no such file. Nearest in its folder: mine\.py"):
        load_program(tmp_path / "mein.py")
    with pytest.raises(ProgramError, match=r"pyro-vae new .*zzz\.py"):
        load_program(tmp_path / "zzz.py")
    with pytest.raises(ProgramError, match="is a folder"):
        load_program(f"{tmp_path}/")
