"""Images in a grid: every pixel is where it belongs and has its own grey or colour."""

from __future__ import annotations

import io

import numpy as np
import pytest

from pyro_vae.errors import OptionError
from pyro_vae.plots import in_grid, plot_images, plot_reconstructions, style
from tests.plots.looks import assert_readable


def drawn(figure) -> np.ndarray:
    """The one image that the figure shows, red, green, blue and opacity."""
    (image,) = figure.axes[0].get_images()
    return np.asarray(image.get_array())


def test_every_image_is_at_its_place_and_there_is_nothing_between_them() -> None:
    images = np.random.default_rng(0).uniform(size=(2, 3, 4, 5))
    shown = drawn(plot_images(images))
    assert shown.shape == (2 * 4 + 1, 3 * 5 + 2, 4)
    for row in range(2):
        for column in range(3):
            part = shown[5 * row : 5 * row + 4, 6 * column : 6 * column + 5]
            np.testing.assert_allclose(part[..., :3], np.repeat(images[row, column, ..., None], 3, axis=-1))
            assert (part[..., 3] == 1).all()
    assert (shown[4, :, 3] == 0).all()
    assert (shown[:, 5, 3] == 0).all()


def test_colours_are_kept_and_what_is_beyond_the_limits_is_black_or_white() -> None:
    images = np.zeros((1, 1, 1, 3, 3))
    images[0, 0, 0, 0] = [0.2, 0.4, 0.6]
    images[0, 0, 0, 1] = [-1.0, 0.5, 7.0]
    np.testing.assert_allclose(drawn(plot_images(images))[0, :2, :3], [[0.2, 0.4, 0.6], [0.0, 0.5, 1.0]])
    np.testing.assert_allclose(drawn(plot_images(images, limits=None))[0, 1, :3], [0.0, 1.5 / 8, 1.0])


def test_left_over_places_stay_empty() -> None:
    grid = in_grid(np.ones((4, 2, 2)), per_row=3)
    assert grid.shape == (2, 3, 2, 2)
    shown = drawn(plot_images(grid))
    assert (shown[3:, 3:5, 3] == 0).all()
    assert (shown[3:, :2, 3] == 1).all()


def test_a_reconstruction_stands_below_its_row_of_data() -> None:
    data = np.linspace(0, 1, 5)[:, None, None] * np.ones((5, 2, 2))
    figure = plot_reconstructions(data, 1 - data, per_row=3, names=("data", "model"))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["data", "model", "data", "model"]
    shown = drawn(figure)[::3, ::3, 0]
    np.testing.assert_allclose(shown[:2], [[0, 0.25, 0.5], [1, 0.75, 0.5]])
    np.testing.assert_allclose(shown[2:, :2], [[0.75, 1], [0.25, 0]])


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 40, 8, 8), (8, 8, 28, 28, 3), (3, 2, 100, 30)])
def test_grids_of_any_form_are_readable(shape: tuple[int, ...]) -> None:
    figure = plot_images(np.zeros(shape), rows=["a rather long label of a row"] * shape[0], note="A remark. " * 20)
    assert_readable(figure)
    assert figure.get_figheight() < 12
    style.save(figure, io.BytesIO(), "png")


def test_the_argument_that_does_not_fit_is_named() -> None:
    images = np.zeros((2, 3, 4, 4))
    with pytest.raises(OptionError, match="rows: expected 2 labels"):
        plot_images(images, rows=["one"])
    with pytest.raises(OptionError, match="columns: expected 3 labels"):
        plot_images(images, columns=["one"])
    with pytest.raises(OptionError, match=r"reconstructions: expected the shape of the originals"):
        plot_reconstructions(images[0], images[0, :2])
    with pytest.raises(OptionError, match="per_row: expected a positive whole number, got 0"):
        in_grid(images[0], 0)
