"""The container: what is put in comes out, labelled, from memory and from a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pyro_vae.errors import OptionError, OutputError
from pyro_vae.posterior import build, load, save, scalar_parameters, variable_names

SCHOOLS = ["Choate", "St. Paul's", "Zoë"]


def example() -> xr.DataTree:
    rng = np.random.default_rng(0)
    return build(
        {
            "posterior": {
                "mu": rng.normal(size=(2, 5)).astype(np.float32),
                "theta": rng.normal(size=(2, 5, 3)),
                "matrix": rng.normal(size=(2, 5, 3, 2)),
                "count": rng.integers(9, size=(2, 5)),
            },
            "sample_stats": {"log_p": rng.normal(size=(2, 5)).astype(np.float32), "diverging": np.zeros((2, 5), bool)},
            "posterior_predictive": {"y": rng.normal(size=(2, 5, 3)).astype(np.float32)},
            "observed_data": {"y": np.arange(3.0)},
            "prior": {},
        },
        dims={"theta": ["school"], "matrix": ["school", "column"], "y": ["school"]},
        coords={"school": SCHOOLS, "unused": [1, 2]},
        attrs={
            "exact": True,
            "engine": "nutpie",
            "seed": np.int64(3),
            "nothing": None,
            "attempts": [{"counts": False}],
        },
    )


def test_axes_have_the_names_and_labels_of_the_program() -> None:
    tree = example()
    assert tree["posterior"]["theta"].dims == ("chain", "draw", "school")
    assert tree["posterior"]["matrix"].dims == ("chain", "draw", "school", "column")
    assert tree["observed_data"]["y"].dims == ("school",)
    assert list(tree["posterior"]["school"].values) == SCHOOLS
    assert "unused" not in tree["posterior"].coords


def test_axes_without_a_name_are_named_as_arviz_names_them() -> None:
    tree = build({"posterior": {"w": np.zeros((1, 4, 2, 3))}})
    assert tree["posterior"]["w"].dims == ("chain", "draw", "w_dim_0", "w_dim_1")


def test_posterior_and_densities_are_64_bit_and_the_rest_keeps_its_type() -> None:
    tree = example()
    assert tree["posterior"]["mu"].dtype == np.float64
    assert tree["sample_stats"]["log_p"].dtype == np.float64
    assert tree["posterior"]["count"].dtype.kind == "i"
    assert tree["sample_stats"]["diverging"].dtype == bool
    assert tree["posterior_predictive"]["y"].dtype == np.float32


def test_an_empty_group_is_left_out() -> None:
    assert "prior" not in example().children


def test_attributes_are_what_a_file_can_hold() -> None:
    attrs = example().attrs
    assert attrs["exact"] == 1
    assert attrs["seed"] == 3
    assert json.loads(attrs["attempts"]) == [{"counts": False}]
    assert "nothing" not in attrs


def test_a_saved_tree_is_read_back_identical(tmp_path: Path) -> None:
    tree = example()
    path = save(tree, tmp_path / "new folder" / "draws.nc")
    again = load(path)
    xr.testing.assert_identical(again, tree)
    assert again.attrs == tree.attrs
    assert {name: type(value) for name, value in again.attrs.items()} == {
        name: type(value) for name, value in tree.attrs.items()
    }
    assert [file.name for file in path.parent.iterdir()] == ["draws.nc"]


def test_saving_over_a_file_that_was_just_loaded_works(tmp_path: Path) -> None:
    path = save(example(), tmp_path / "draws.nc")
    tree = load(path)
    tree.attrs["engine"] = "pyro"
    save(tree, path)
    assert load(path).attrs["engine"] == "pyro"


def test_a_failed_save_leaves_the_old_file_whole_and_nothing_beside_it(tmp_path: Path, monkeypatch) -> None:
    path = save(example(), tmp_path / "draws.nc")
    before = path.read_bytes()

    def half_written(self: xr.DataTree, part: Path, **_: object) -> None:
        Path(part).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", half_written)
    with pytest.raises(OutputError, match=r"draws\.nc.*no space left"):
        save(example(), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["draws.nc"]


def test_a_folder_that_is_a_file_is_an_output_error_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match=r"taken/draws\.nc"):
        save(example(), tmp_path / "taken" / "draws.nc")


@pytest.mark.parametrize("content", [None, b"", b"not netCDF at all"])
def test_what_is_not_a_file_of_draws_is_an_output_error_that_names_the_path(tmp_path: Path, content) -> None:
    path = tmp_path / "draws.nc"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OutputError, match=r"draws\.nc"):
        load(path)


def test_a_file_without_a_posterior_is_an_output_error_that_says_what_is_there(tmp_path: Path) -> None:
    path = save(build({"prior": {"x": np.zeros((1, 5))}}), tmp_path / "draws.nc")
    with pytest.raises(OutputError, match=r"no posterior group.*prior"):
        load(path)


def test_scalar_parameters_are_labelled_and_hold_the_right_draws() -> None:
    tree = example()
    flat = scalar_parameters(tree)
    assert list(flat) == [
        "mu",
        *(f"theta[{school}]" for school in SCHOOLS),
        *(f"matrix[{school}, {column}]" for school in SCHOOLS for column in range(2)),
        "count",
    ]
    matrix = tree["posterior"]["matrix"].values
    np.testing.assert_array_equal(flat["matrix[Zoë, 1]"], matrix[:, :, 2, 1])
    assert all(draws.shape == (2, 5) for draws in flat.values())


def test_scalar_parameters_of_chosen_variables_and_groups() -> None:
    tree = example()
    assert list(scalar_parameters(tree, ["count", "mu"])) == ["count", "mu"]
    assert list(scalar_parameters(tree, group="posterior_predictive")) == [f"y[{school}]" for school in SCHOOLS]
    with pytest.raises(OptionError, match=r"no variable 'tau'.*'mu'"):
        scalar_parameters(tree, ["tau"])
    with pytest.raises(OptionError, match="expected chain and draw"):
        scalar_parameters(tree, group="observed_data")


def test_labels_that_repeat_give_way_to_positions() -> None:
    draws = np.arange(8.0).reshape(1, 4, 2)
    tree = build({"posterior": {"x": draws}}, dims={"x": ["city"]}, coords={"city": ["Springfield", "Springfield"]})
    flat = scalar_parameters(tree)
    assert list(flat) == ["x[0]", "x[1]"]
    np.testing.assert_array_equal(flat["x[1]"], draws[..., 1])


def test_the_order_of_axes_in_a_file_from_elsewhere_does_not_matter() -> None:
    tree = example()
    turned = xr.DataTree.from_dict({"posterior": tree["posterior"].to_dataset().transpose("school", "draw", ...)})
    for label, draws in scalar_parameters(tree).items():
        np.testing.assert_array_equal(scalar_parameters(turned)[label], draws)


def test_a_parameter_of_size_zero_has_no_scalars() -> None:
    assert scalar_parameters(build({"posterior": {"x": np.zeros((1, 4, 0))}})) == {}


def test_a_slash_in_a_name_becomes_a_dot(tmp_path: Path) -> None:
    tree = build({"posterior": {"net/w": np.zeros((1, 4, 2))}}, dims={"net/w": ["unit"]})
    assert variable_names(load(save(tree, tmp_path / "draws.nc"))) == ["net.w"]
    assert tree["posterior"]["net.w"].dims == ("chain", "draw", "unit")


@pytest.mark.parametrize(
    ("shape", "dims", "coords", "said"),
    [
        ((4,), {}, {}, r"posterior\['x'\].*\(4,\).*\[chain, draw, \*shape\]"),
        ((1, 4), {"x": ["school"]}, {}, r"dims\['x'\].*0 axes"),
        ((1, 4, 3), {"x": "school"}, {}, "a list with one name"),
        ((1, 4, 3), {"x": ["school"]}, {"school": ["A", "B"]}, "'school' is 3 long, and 2 in coords"),
    ],
)
def test_axes_that_do_not_fit_are_an_error_that_names_the_variable(shape, dims, coords, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        build({"posterior": {"x": np.zeros(shape)}}, dims=dims, coords=coords)


def test_variables_of_different_numbers_of_draws_are_an_error() -> None:
    with pytest.raises(OptionError, match="'draw' is 5 long, and 4 in the variables before it"):
        build({"posterior": {"x": np.zeros((1, 4)), "y": np.zeros((1, 5))}})


def test_what_is_not_a_tree_of_draws_is_an_error() -> None:
    with pytest.raises(OptionError, match="got dict"):
        variable_names({"x": 1})  # pyright: ignore[reportArgumentType]
    with pytest.raises(OptionError, match="no posterior group"):
        variable_names(build({"prior": {"x": np.zeros((1, 4))}}))
