"""Images in a grid, and rows of data above what a model makes of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pyro_vae.errors import OptionError
from pyro_vae.plots import style

_LARGEST = 0.9  # inches of one image's longer side
_GAP = 0.08  # between two images, of their longer side
_LABELLED = 0.18  # inches that labels above the columns need


@style.styled
def plot_images(
    images: np.ndarray,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    limits: tuple[float, float] | None = (0.0, 1.0),
    note: str = "",
    width: float = style.WIDTH,
) -> Figure:
    """A grid of small images, each as it is: pixels are squares, nothing is drawn over them.

    Args:
        images: ``[rows, columns, H, W]`` grey, or ``[rows, columns, H, W, C]`` with C = 1 (grey) or 3 (red, green,
            blue). An image with a NaN in it leaves its place empty.
        rows: A label on the left of every row; none at all is none.
        columns: A label above every column.
        limits: The values that are black and white; what is beyond them is shown as they are. None takes the smallest
            and the largest value.
        note: A remark below the grid.
        width: Of the figure in inches.

    Raises:
        OptionError: naming the argument whose shape does not fit.

    >>> digits = np.random.default_rng(0).uniform(size=(4, 12, 8, 8))
    >>> plot_images(digits, rows=["a", "b", "c", "d"]).axes[0].get_images()[0].get_array().shape
    (35, 107, 4)
    """
    images = _checked("images", images, 5)
    for name, labels, count in (("rows", rows, len(images)), ("columns", columns, images.shape[1])):
        if len(labels) not in (0, count):
            raise OptionError(f"{name}: expected {count} labels, one for each, or none, got {len(labels)}.")
    down, across, height, wide = images.shape[:4]
    gap = max(1, round(_GAP * max(height, wide)))
    named = [style.fitted(label, width / 4, 8.5) for label in rows]
    room = width - 0.2 - 0.0083 * 8.5 * max((len(label) for label in named), default=0)
    inches = min(room / (across * (wide + gap)), _LARGEST / max(height, wide))  # of one pixel
    figure = style.new_figure(inches * down * (height + gap) + 0.12 + _LABELLED * bool(columns), width)
    axes = figure.subplots()
    axes.imshow(_mosaic(_coloured(images, limits), gap), interpolation="nearest", aspect="equal")
    axes.set_anchor("NW")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False, pad=2)
    axes.set_yticks(_centres(len(named), height, gap), named)
    each = inches * (wide + gap) - 0.02
    axes.set_xticks(
        _centres(len(columns), wide, gap),
        [style.plain(style.shorten(label, max(3, int(each / 0.075)))) for label in columns],
    )
    if note:
        style.note(figure, note)
    return figure


def plot_reconstructions(
    originals: np.ndarray,
    reconstructions: np.ndarray,
    *,
    per_row: int = 12,
    names: tuple[str, str] = ("data", "model"),
    limits: tuple[float, float] | None = (0.0, 1.0),
    note: str = "",
    width: float = style.WIDTH,
) -> Figure:
    """Each image of the data, and right below it what a model makes of its code; pairs of rows, read from the left.

    Args:
        originals: ``[N, H, W]`` grey, or ``[N, H, W, C]`` with C = 1 or 3.
        reconstructions: of the same shape.
        per_row: Images beside each other, at most.
        names: What the two rows of a pair are called.
        limits: and ``note``, ``width``: as for :func:`plot_images`.

    Raises:
        OptionError: naming the argument whose shape does not fit.

    >>> x = np.zeros((5, 8, 8))
    >>> [label.get_text() for label in plot_reconstructions(x, x, per_row=3).axes[0].get_yticklabels()]
    ['data', 'model', 'data', 'model']
    """
    data, model = _checked("originals", originals, 4), _checked("reconstructions", reconstructions, 4)
    if data.shape != model.shape:
        raise OptionError(
            f"reconstructions: expected the shape of the originals, {data.shape}, got {np.shape(reconstructions)}."
        )
    pairs = np.stack([in_grid(data, per_row), in_grid(model, per_row)], axis=1)
    grid = pairs.reshape(-1, *pairs.shape[2:])
    labels = list(names) * (len(grid) // 2)
    return plot_images(grid, rows=labels, limits=limits, note=note, width=width)


def in_grid(images: np.ndarray, per_row: int) -> np.ndarray:
    """``[N, *image]`` as ``[rows, columns, *image]``, from left to right; places that are left over are NaN.

    >>> in_grid(np.zeros((5, 8, 8)), 3).shape
    (2, 3, 8, 8)
    """
    if per_row < 1:
        raise OptionError(f"per_row: expected a positive whole number, got {per_row!r}.")
    images = np.asarray(images, dtype=float)
    across = max(1, min(per_row, len(images)))
    down = max(1, -(-len(images) // across))
    grid = np.full((down * across, *images.shape[1:]), np.nan)
    grid[: len(images)] = images
    return grid.reshape(down, across, *images.shape[1:])


def _checked(name: str, images: np.ndarray, dims: int) -> np.ndarray:
    """The images with their channels last, grey ones too: ``dims`` dimensions."""
    array = np.asarray(images, dtype=float)
    lead = ", ".join(["rows", "columns"] if dims == 5 else ["N"])
    if array.ndim == dims - 1:
        array = array[..., None]
    if array.ndim != dims or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise OptionError(
            f"{name}: expected images [{lead}, H, W] or [{lead}, H, W, 1 or 3], got shape {np.shape(images)}."
        )
    return array


def _coloured(images: np.ndarray, limits: tuple[float, float] | None) -> np.ndarray:
    """``[..., C]`` as red, green, blue and opacity between 0 and 1."""
    there = ~np.isnan(images).any(axis=(-3, -2, -1), keepdims=True)
    low, high = limits if limits is not None else (np.nanmin(images), np.nanmax(images))
    shown = np.clip((np.nan_to_num(images) - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    colour = np.broadcast_to(shown, (*shown.shape[:-1], 3))
    return np.concatenate([colour, np.broadcast_to(there, (*shown.shape[:-1], 1))], axis=-1)


def _mosaic(images: np.ndarray, gap: int) -> np.ndarray:
    """One image ``[height, width, 4]`` of all, with nothing at all between them."""
    apart = np.pad(images, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)))
    down, across, height, wide, channels = apart.shape
    whole = apart.swapaxes(1, 2).reshape(down * height, across * wide, channels)
    return whole[:-gap, :-gap]


def _centres(count: int, side: int, gap: int) -> np.ndarray:
    return np.arange(count) * (side + gap) + (side - 1) / 2
