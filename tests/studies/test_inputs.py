"""A program and its guides come out the same, however a person gives them."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import pytest
import torch

from pyro_vae.catalogue import load_program
from pyro_vae.errors import ModelError, OptionError
from pyro_vae.studies.inputs import guides_of, program_of, rows_of


def model(x: torch.Tensor) -> None:
    """A location."""
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", len(x)):
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def own(x: torch.Tensor) -> None:
    pyro.sample("z", dist.Normal(pyro.param("loc", torch.tensor(0.0)), 1.0))


def test_a_bare_model_is_a_program_with_its_docstring_for_a_story() -> None:
    program = program_of(model, {"x": torch.ones(3)}, dims={"x": ["row"]})
    assert program.name == "model"
    assert program.story == "A location."
    assert program.dims == {"x": ["row"]}
    assert program.exact_draws is None


def test_data_of_ones_own_put_aside_what_is_known_about_the_programs_own() -> None:
    program = program_of("linear_regression", {"x": torch.ones(3, 2), "y": torch.ones(3)})
    assert program.exact_draws is None
    assert program.reference is None
    assert program_of("linear_regression").reference is not None


def test_guides_have_the_names_that_they_were_given() -> None:
    program = program_of(model)
    assert list(guides_of(None, program)) == ["auto_normal", "auto_multivariate_normal"]
    assert list(guides_of("auto_normal", program)) == ["auto_normal"]
    assert guides_of(own, program) == {"own": own}
    assert guides_of({"mine": own, "mean-field": "auto_normal"}, program) == {"mine": own, "mean-field": "auto_normal"}
    assert list(guides_of([own, "AutoNormal"], program)) == ["own", "AutoNormal"]


def test_a_program_with_guides_of_its_own_is_compared_on_those() -> None:
    program = program_of(model)
    program = type(program)(**{**vars(program), "guides": {"guide": own, "full": "auto_multivariate_normal"}})
    assert guides_of(None, program) == {"guide": own, "full": "auto_multivariate_normal"}
    assert guides_of(["guide", "auto_normal"], program) == {"guide": own, "auto_normal": "auto_normal"}


@pytest.mark.parametrize(
    ("guides", "message"),
    [
        ([], "at least one guide"),
        (["auto_norml"], "Nearest: .*auto_normal"),
        (["giude"], "Nearest of the program's own: guide"),
        ([own, own], "'own' is there twice"),
        ([3], "expected a guide or an autoguide's name, got int"),
    ],
)
def test_what_is_not_a_guide_is_refused(guides: list, message: str) -> None:
    program = program_of(model)
    program = type(program)(**{**vars(program), "guides": {"guide": own}})
    with pytest.raises(OptionError, match=message):
        guides_of(guides, program)


def test_what_is_not_a_model_is_refused() -> None:
    with pytest.raises(ModelError, match="got int"):
        program_of(3)  # pyright: ignore[reportArgumentType]


def test_a_loader_stands_for_its_whole_dataset() -> None:
    data = torch.utils.data.TensorDataset(torch.arange(5.0), torch.arange(5.0) ** 2)
    rows = rows_of(torch.utils.data.DataLoader(data, batch_size=2, shuffle=True))
    torch.testing.assert_close(rows[0], torch.arange(5.0))
    program = load_program("eight_schools")
    assert rows_of(program.data) is program.data
