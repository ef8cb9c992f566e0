"""``load_data``: a person's own rows, whatever file or folder they are in."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

from pyro_vae.datasets.rows import Rows
from pyro_vae.datasets.scaling import Scaling
from pyro_vae.errors import DataError, OptionError

ENDINGS = (".npz", ".npy", ".csv", ".parquet", ".txt")


def load_data(
    path: str | Path,
    *,
    label: str | None = None,
    image_size: int | None = None,
    scale: str | None = None,
    like: Rows | None = None,
) -> Rows:
    """Rows from a file or a folder, for :func:`~pyro_vae.load_program` and ``pyro-vae fit --data``.

    ======================  ==========================================================================================
    ``.npz``, ``.npy``      an array called ``x``, or the only one: rows ``[N, D]``, images ``[N, H, W]`` (grey),
                            ``[N, C, H, W]`` or ``[N, H, W, C]``. Images of 8 bits are divided by 255
    ``.csv``, ``.parquet``  a table of numbers, with or without names of its columns (Parquet needs pyarrow)
    ``.txt``                a sentence per line, split at white space; the vocabulary is made of the words
    a folder                ``.png`` and ``.jpg``, all of one size; folders in it are labels
    ======================  ==========================================================================================

    Args:
        path: the file or folder.
        label: the column (or, in an ``.npz``, the array) that has a label for each row, and is no feature.
        image_size: resize the images of a folder to squares of this side.
        scale: ``"unit"`` brings numbers to between 0 and 1, ``"standard"`` to mean 0 and standard deviation 1: a
            table's columns one by one, images as a whole.
        like: rows that were read before. The same columns, vocabulary, longest sentence, scaling, channels and names of
            labels hold, so that a model trained on those can take these.

    Returns:
        the :class:`~pyro_vae.datasets.Rows`, floating point in torch's default dtype.

    Raises:
        DataError: naming file and row: a number that is missing or none, rows of different lengths, an unknown word, an
            image of another size.
        OptionError: naming the option, or what to install.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "flowers.csv"
    ...     _ = file.write_text("length,width,kind\\n1.5,2,rose\\n3,4.5,lily\\n")
    ...     rows = load_data(file, label="kind")
    >>> rows.x, rows.columns, rows.label_names
    (tensor([[1.5000, 2.0000],
            [3.0000, 4.5000]]), ('length', 'width'), ('lily', 'rose'))
    """
    path = Path(path).expanduser()
    rows = _read(path, label, image_size, like)
    if rows.kind == "sentences" and scale is not None:
        raise OptionError(f"scale={scale!r}: {path} has sentences, which are not scaled.")
    if rows.labels is None and label is not None and like is None:
        raise OptionError(
            f"label={label!r}: {path} has no columns. A folder of images has its labels as folders in it."
        )
    if like is not None:
        _check_alike(path, rows, like)
    scaling = like.scaling if like is not None else None if scale is None else Scaling.of(rows.x, scale)
    return rows if scaling is None else replace(rows, x=scaling(rows.x), scaling=scaling)


def _check_alike(path: Path, rows: Rows, like: Rows) -> None:
    """A model trained on ``like`` must be able to take the rows."""
    expected = like.kind if like.vocabulary is None else "sentences"
    if rows.kind != expected:
        raise DataError(f"{path}: has {rows.kind}, and the model was trained on {expected}.")
    if like.vocabulary is not None:
        return
    if rows.columns != like.columns and like.columns:
        expected, got = ", ".join(like.columns), ", ".join(rows.columns) or "no columns"
        raise DataError(f"{path}: expected the columns that the model was trained on, {expected}, got {got}.")
    if rows.image is not None and like.image is not None and rows.image != like.image:
        got, expected = (
            f"{wide} x {tall} pixels and {channels} channels" for channels, tall, wide in (rows.image, like.image)
        )
        raise DataError(
            f"{rows.place(0)}: has {got}; expected {expected}, as the model was trained on. Resize with --image-size "
            "(image_size=), which makes squares."
        )


def _read(path: Path, label: str | None, image_size: int | None, like: Rows | None) -> Rows:
    names = () if like is None else like.label_names
    if path.is_dir():
        from pyro_vae.datasets.images import read_images

        return read_images(path, image_size, None if like is None or like.image is None else like.image[0], names)
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [file.name for file in path.parent.glob("*")], n=3)
        hint = f" Nearest: {', '.join(near)}." if near else ""
        raise DataError(f"{path}: there is no such file or folder.{hint}")
    if image_size is not None:
        raise OptionError(f"image_size={image_size}: only images in a folder are resized, {path} is a file.")
    ending = path.suffix.lower()
    if ending in (".npz", ".npy"):
        from pyro_vae.datasets.arrays import read_arrays

        return read_arrays(path, label, names, needed=like is None)
    if ending in (".csv", ".parquet"):
        from pyro_vae.datasets.tables import read_csv, read_parquet

        return (read_csv if ending == ".csv" else read_parquet)(path, label, names, needed=like is None)
    if ending == ".txt":
        from pyro_vae.datasets.text import read_text

        if like is None:
            return read_text(path)
        return read_text(path, like.vocabulary, like.x.shape[1] if like.kind == "sentences" else None)
    raise DataError(f"{path}: expected a folder of images or a file that ends in {', '.join(ENDINGS)}.")
