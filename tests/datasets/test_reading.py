"""Rows of one's own: what each format gives, and where an error says that the fault is."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pyro_vae as pv
from pyro_vae.datasets import Rows


def image(path: Path, pixels: np.ndarray) -> None:
    """A file of 8 bits per channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def test_a_table_has_its_names_its_label_and_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "flowers.csv"
    file.write_text("length;kind;width\n1.5;rose;2\n3;lily;-4e1\n\n2;rose;0\n")
    rows = pv.load_data(file, label="kind")
    torch.testing.assert_close(rows.x, torch.tensor([[1.5, 2], [3, -40], [2, 0]]))
    assert rows.columns == ("length", "width")
    assert rows.label_names == ("lily", "rose")
    assert rows.labels.tolist() == [1, 0, 1]  # pyright: ignore
    assert rows.kind == "arrays"
    assert rows.place(1) == f"{file}, line 3"


def test_a_table_without_names_is_numbers_from_its_first_line_on(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeff1,2\n3,4\n", encoding="utf-8")
    rows = pv.load_data(tmp_path / "a.csv", label="1")
    assert rows.x.tolist() == [[1.0], [3.0]]
    assert rows.columns == ("0",)
    assert rows.label_names == ("2", "4")


def test_parquet_is_the_same_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3, 4], "kind": ["x", "y"]})
    frame.to_parquet(tmp_path / "a.parquet")
    rows = pv.load_data(tmp_path / "a.parquet", label="kind")
    assert rows.x.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert rows.label_names == ("x", "y")
    with pytest.raises(pv.DataError, match=r"a\.parquet: column 'kind' has .*; expected numbers.*--label kind"):
        pv.load_data(tmp_path / "a.parquet")
    frame.assign(a=[1.0, float("nan")])[["a", "b"]].to_parquet(tmp_path / "b.parquet")
    with pytest.raises(pv.DataError, match=r"b\.parquet, row 1, column 'a': expected a finite number, got nan"):
        pv.load_data(tmp_path / "b.parquet")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] in ("pyarrow", "fastparquet"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    import pandas as pd

    monkeypatch.setattr(pd, "read_parquet", lambda path: __import__("pyarrow"))
    with pytest.raises(pv.OptionError, match="pip install pyarrow"):
        pv.load_data(tmp_path / "a.parquet")


def test_sentences_are_numbered_by_their_own_words(tmp_path: Path) -> None:
    file = tmp_path / "pets.txt"
    file.write_text("the cat sleeps\n\n  a dog \n")
    rows = pv.load_data(file)
    assert rows.kind == "sentences"
    assert rows.as_sentences(rows.x) == ["the cat sleeps", "a dog"]
    assert rows.x.shape == (2, 4)
    assert rows.place(1) == f"{file}, line 3"


@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 1, 6, 7), (5, 6, 7, 1), (5, 3, 6, 7), (5, 6, 7, 3)])
def test_images_in_an_array_get_their_channels_first_and_8_bits_are_divided(shape: tuple, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=pixels, y=np.array([3, 1, 1, 3, 2]))
    rows = pv.load_data(tmp_path / "a.npz", label="y")
    channels = 3 if 3 in (shape[1], shape[-1]) else 1
    assert rows.image == (channels, 6, 7)
    assert rows.kind == "images"
    shown = (rows.as_images(rows.x) * 255).round()
    first = np.moveaxis(pixels, 1, -1) if shape[1] in (1, 3) else pixels
    np.testing.assert_array_equal(shown.reshape(5, 6, 7, channels), first.reshape(5, 6, 7, channels))
    assert rows.labels.tolist() == [2, 0, 0, 2, 1]  # pyright: ignore


def test_the_only_array_need_not_be_called_x(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6).reshape(3, 2))
    np.savez(tmp_path / "a.npz", mine=np.arange(6).reshape(3, 2))
    for name in ("a.npy", "a.npz"):
        assert pv.load_data(tmp_path / name).x.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_folder_of_grey_images_has_one_channel_and_its_folders_are_labels(tmp_path: Path) -> None:
    for name, value in (("one/b.png", 51), ("one/a.png", 0), ("two/c.png", 255)):
        image(tmp_path / name, np.full((4, 5), value))
    (tmp_path / "two" / "notes.md").write_text("not an image")
    rows = pv.load_data(tmp_path)
    assert rows.image == (1, 4, 5)
    torch.testing.assert_close(rows.x[:, 0, 0, 0], torch.tensor([0, 0.2, 1]))
    assert rows.label_names == ("one", "two")
    assert rows.labels.tolist() == [0, 0, 1]  # pyright: ignore
    assert rows.place(2) == f"{tmp_path}/two/c.png"


def test_one_coloured_image_makes_all_coloured_and_sizes_are_brought_to_one(tmp_path: Path) -> None:
    image(tmp_path / "a.png", np.full((4, 4), 51))
    image(tmp_path / "b.jpg", np.full((8, 6, 3), [255, 0, 0]))
    rows = pv.load_data(tmp_path, image_size=4)
    assert rows.image == (3, 4, 4)
    assert rows.labels is None
    torch.testing.assert_close(rows.x[0], torch.full((3, 4, 4), 0.2))
    torch.testing.assert_close(rows.x[1, :, 0, 0], torch.tensor([1.0, 0, 0]), atol=0.02, rtol=0)


def test_scales_bring_columns_or_all_pixels_to_where_they_belong(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c\n1,10,5\n3,30,5\n2,10,5\n")
    unit = pv.load_data(tmp_path / "a.csv", scale="unit")
    assert unit.x.tolist() == [[0, 0, 0], [1, 1, 0], [0.5, 0, 0]]
    np.testing.assert_allclose(unit.as_arrays(unit.x), [[1, 10, 5], [3, 30, 5], [2, 10, 5]])
    standard = pv.load_data(tmp_path / "a.csv", scale="standard").x
    torch.testing.assert_close(standard.mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(standard.std(0, correction=0), torch.tensor([1.0, 1, 0]))
    np.save(tmp_path / "a.npy", np.arange(8.0).reshape(2, 2, 2))
    assert pv.load_data(tmp_path / "a.npy", scale="unit").x.flatten().tolist() == pytest.approx(np.arange(8) / 7)


def test_rows_like_others_keep_their_words_scale_and_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,kind\n0,x\n10,z\n")
    (tmp_path / "b.csv").write_text("a,kind\n5,y\n20,z\n")
    (tmp_path / "c.csv").write_text("b\n5\n")
    first = pv.load_data(tmp_path / "a.csv", label="kind", scale="unit")
    second = pv.load_data(tmp_path / "b.csv", label="kind", like=first)
    assert second.x.tolist() == [[0.5], [2.0]]
    assert second.label_names == ("x", "z", "y")
    assert second.labels.tolist() == [2, 1]  # pyright: ignore
    with pytest.raises(pv.DataError, match=r"c\.csv: expected the columns that the model was trained on, a, got b"):
        pv.load_data(tmp_path / "c.csv", like=first)
    (tmp_path / "a.txt").write_text("the cat sleeps\n")
    (tmp_path / "b.txt").write_text("cat the\n")
    (tmp_path / "c.txt").write_text("the cat\nthe cap\n")
    text = pv.load_data(tmp_path / "a.txt")
    assert pv.load_data(tmp_path / "b.txt", like=text).x.tolist() == [[2, 4, 1, 0]]
    with pytest.raises(pv.DataError, match=r"c\.txt, line 2: the word 'cap' is not in the vocabulary. Nearest: cat"):
        pv.load_data(tmp_path / "c.txt", like=text)
    (tmp_path / "d.txt").write_text("the cat sleeps the cat\n")
    with pytest.raises(pv.DataError, match=r"d\.txt, line 1: has 6 words with its END: expected at most 4"):
        pv.load_data(tmp_path / "d.txt", like=text)
    with pytest.raises(pv.DataError, match=r"b\.csv: has arrays, and the model was trained on sentences"):
        pv.load_data(tmp_path / "b.csv", label="kind", like=text)


def test_images_of_another_size_than_those_trained_on_are_named(tmp_path: Path) -> None:
    image(tmp_path / "a.png", np.zeros((4, 5)))
    like = Rows(torch.zeros(1, 1, 4, 4), "images", image=(1, 4, 4))
    with pytest.raises(pv.DataError, match=r"a\.png: has 5 x 4 pixels and 1 channels; expected 4 x 4 pixels"):
        pv.load_data(tmp_path, like=like)
    assert pv.load_data(tmp_path, image_size=4, like=like).image == (1, 4, 4)


def written(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text, encoding="latin-1")
        return folder / name

    return write


def saved(**arrays: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / "a.npz", **arrays)
        return folder / "a.npz"

    return write


def pictures(**shapes: tuple) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name, shape in shapes.items():
            image(folder / f"{name}.png", np.zeros(shape))
        return folder

    return write


BAD = {
    "a number is missing": (written("a.csv", "a,b\n1,2\n3,\n"), r"a\.csv, line 3, column 'b': .*got nothing"),
    "NaN": (written("a.csv", "a,b\n1,2\n3,nan\n"), r"a\.csv, line 3, column 'b': expected a finite number, got nan"),
    "infinite": (written("a.csv", "a,b\n1,2\n3,-inf\n"), r"line 3, column 'b': expected a finite number, got -inf"),
    "too few columns": (written("a.csv", "a,b\n1,2\n3\n"), r"a\.csv, line 3: expected 2 columns, as above, got 1"),
    "too many columns": (written("a.csv", "a,b\n1,2\n3,4,5\n"), r"a\.csv, line 3: expected 2 columns.*got 3"),
    "a word": (
        written("a.csv", "a,b\n1,2\n3,red\n"),
        r"a\.csv, line 3, column 'b': expected a number, got 'red'.*--label b",
    ),
    "names alone": (written("a.csv", "a,b\n"), r"a\.csv: has no rows below its names"),
    "a name twice": (written("a.csv", "a,a\n1,2\n"), r"a\.csv: column 'a' is there twice"),
    "an empty table": (written("a.csv", "\n"), r"a\.csv: is empty"),
    "a table in Latin 1": (written("a.csv", "größe,b\n1,2\n"), r"a\.csv: is no text in UTF-8"),
    "an empty text": (written("a.txt", " \n\n"), r"a\.txt: is empty. Expected one sentence per line"),
    "a text in Latin 1": (written("a.txt", "größe\n"), r"a\.txt: is no text in UTF-8"),
    "not a zip": (written("a.npz", "no"), r"a\.npz: cannot be read as arrays"),
    "Python objects": (saved(x=np.array([[1], [1, 2]], dtype=object)), r"a\.npz: cannot be read as arrays"),
    "two arrays": (saved(a=np.ones((2, 2)), b=np.ones((2, 2))), r"expected an array called x, or only one, got a, b"),
    "words in an array": (saved(x=np.array([["a"]])), r"array 'x' has dtype <U1; expected numbers"),
    "one dimension": (saved(x=np.ones(3)), r"array 'x' has shape \(3,\); expected at least one row"),
    "no rows": (saved(x=np.ones((0, 3))), r"array 'x' has shape \(0, 3\)"),
    "two channels": (saved(x=np.ones((2, 2, 4, 4))), r"expected images with 1 or 3 channels"),
    "NaN in an array": (saved(x=np.array([[1, 2], [3, np.nan]])), r"a\.npz, row 1, entry \[1\]: expected a finite"),
    "images of two sizes": (pictures(a=(4, 4), b=(4, 5)), r"b\.png: has 5 x 4 pixels, and a\.png 4 x 4.*--image-size"),
    "no images": (pictures(), r"has no images"),
    "a broken image": (written("a.png", "no"), None),
    "another ending": (written("a.xlsx", "no"), r"a\.xlsx: expected a folder of images or a file that ends in"),
    "nothing there": (lambda folder: folder / "no.csv", r"no\.csv: there is no such file or folder"),
}


@pytest.mark.parametrize(("write", "said"), BAD.values(), ids=BAD)
def test_bad_data_are_named_by_file_and_row(write: Callable[[Path], Path], said: str | None, tmp_path: Path) -> None:
    path = write(tmp_path)
    if said is None:
        path, said = tmp_path, r"a\.png: cannot be read as an image"
    with pytest.raises(pv.DataError, match=said):
        pv.load_data(path)


BAD_OPTIONS = {
    "no such column": (written("a.csv", "ab,b\n1,2\n"), {"label": "a"}, r"a\.csv has no column 'a'. Nearest: ab"),
    "no such array": (saved(x=np.ones((2, 2))), {"label": "y"}, r"a\.npz has no array called 'y'; it has x"),
    "a label of text": (written("a.txt", "a b\n"), {"label": "y"}, r"a\.txt has no columns"),
    "text is not scaled": (written("a.txt", "a b\n"), {"scale": "unit"}, r"has sentences, which are not scaled"),
    "no such scale": (written("a.csv", "a\n1\n"), {"scale": "log"}, r"scale: expected unit or standard, got 'log'"),
    "a table is not resized": (written("a.csv", "a\n1\n"), {"image_size": 4}, r"only images in a folder are resized"),
}


@pytest.mark.parametrize(("write", "options", "said"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options_are_named(write: Callable[[Path], Path], options: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(pv.OptionError, match=said):
        pv.load_data(write(tmp_path), **options)
