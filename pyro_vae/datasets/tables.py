"""Tables, ``.csv`` and ``.parquet``: a row each, columns are features, one column may be the label."""

from __future__ import annotations

import csv
import difflib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pyro_vae.datasets.finite import refuse_missing
from pyro_vae.datasets.rows import Rows, numbered
from pyro_vae.errors import DataError, OptionError

SEPARATORS = ",;\t"


def read_csv(path: Path, label: str | None = None, names: tuple[str, ...] = (), *, needed: bool = True) -> Rows:
    """A table of numbers, with or without a first line of names; commas, semicolons or tabs are between the columns.

    Raises :class:`~pyro_vae.errors.DataError` naming file and line: of another length than the first, of a number that
    is missing, or is none.
    """
    import pandas as pd

    first, separator = _first_line(path)
    named = any(not _is_number(field) for field in first)
    columns = [field.strip() for field in first] if named else [str(index) for index in range(len(first))]
    label = _label(path, columns, label, needed)
    lines = _Lines(path, separator, columns, label, named)
    try:
        # All as text: what is no number is found out below, with its line.
        frame = pd.read_csv(
            path, sep=separator, header=None, names=columns, skiprows=int(named), index_col=False, dtype=str,
            keep_default_na=False, na_filter=False, skip_blank_lines=True, encoding="utf-8-sig", on_bad_lines="error",
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        lines.refuse()
        raise DataError(f"{path}: cannot be read as a table ({error}).") from error
    if not len(frame):
        raise DataError(f"{path}: has no rows{' below its names' if named else ''}.")
    features = [column for column in columns if column != label]
    try:
        numbers = np.stack([frame[column].to_numpy(dtype=float) for column in features], axis=1)
    except (ValueError, TypeError) as error:
        lines.refuse()
        raise DataError(f"{path}: expected numbers ({error}).") from error
    if not np.isfinite(numbers).all():
        lines.refuse()
    return _rows(path, numbers, features, None if label is None else frame[label], names, int(named) + 1, ", line ")


def read_parquet(path: Path, label: str | None = None, names: tuple[str, ...] = (), *, needed: bool = True) -> Rows:
    """A table of numbers in Apache Parquet, which needs pyarrow.

    Raises :class:`~pyro_vae.errors.DataError` naming file, row and column; :class:`~pyro_vae.errors.OptionError` saying
    what to install.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise OptionError(f"{path}: reading Parquet needs pyarrow. Install it: pip install pyarrow") from error
    except Exception as error:  # pyarrow's own kinds
        raise DataError(f"{path}: cannot be read as Parquet ({error}).") from error
    frame.columns = [str(column) for column in frame.columns]
    columns = list(frame.columns)
    label = _label(path, columns, label, needed)
    features = [column for column in columns if column != label]
    if not len(frame):
        raise DataError(f"{path}: has no rows.")
    for column in features:
        if frame[column].dtype.kind not in "fiub" and not pd.api.types.is_numeric_dtype(frame[column].dtype):
            raise DataError(
                f"{path}: column '{column}' has {frame[column].dtype}; expected numbers. Leave the column out, or say "
                f"that it is the label: --label {column}"
            )
    numbers = frame[features].to_numpy(dtype=float, na_value=np.nan)
    return _rows(path, numbers, features, None if label is None else frame[label], names, 0, ", row ")


def _rows(
    path: Path, numbers: np.ndarray, features: list[str], label: Any, names: tuple[str, ...], first: int,
    placed: str,
) -> Rows:  # fmt: skip
    places = range(first, first + len(numbers))
    refuse_missing(numbers, lambda row: f"{path}{placed}{places[row]}", features)
    labels, known = (None, ()) if label is None else numbered([str(value).strip() for value in label], names)
    return Rows(
        torch.from_numpy(numbers).to(torch.get_default_dtype()),
        labels=labels,
        label_names=known,
        columns=tuple(features),
        source=str(path),
        places=places,
        placed=placed,
    )


def _first_line(path: Path) -> tuple[list[str], str]:
    """The first line's fields, and what is between them."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            line = next((line for line in file if line.strip()), "")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8 ({error}).") from error
    if not line:
        raise DataError(f"{path}: is empty.")
    separator = max(SEPARATORS, key=line.count)
    return next(csv.reader([line], delimiter=separator)), separator


def _label(path: Path, columns: list[str], label: str | None, needed: bool) -> str | None:
    """The column of the labels, after a look at all names; one that is not there may be missing if not ``needed``."""
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise DataError(f"{path}: column '{twice[0]}' is there twice. Give every column a name of its own.")
    if label is not None and label not in columns:
        if not needed:
            return None
        near = difflib.get_close_matches(label, columns, 3)
        hint = f"Nearest: {', '.join(near)}." if near else f"There are: {', '.join(columns[:20])}."
        raise OptionError(f"label: {path} has no column '{label}'. {hint}")
    if columns == [label]:
        raise DataError(f"{path}: has no column beside the label '{label}'.")
    return label


class _Lines:
    """A second look, line by line, for the first one that cannot be: only where the first look failed."""

    def __init__(self, path: Path, separator: str, columns: list[str], label: str | None, named: bool):
        self.path, self.separator, self.columns, self.label, self.named = path, separator, columns, label, named

    def refuse(self) -> None:
        """Raise :class:`~pyro_vae.errors.DataError` naming the line and the column."""
        with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file, delimiter=self.separator)
            for row, fields in enumerate(fields for fields in reader if fields):
                if row or not self.named:
                    self._check(fields, f"{self.path}, line {reader.line_num}", row - self.named)

    def _check(self, fields: list[str], where: str, row: int) -> None:
        if len(fields) != len(self.columns):
            raise DataError(f"{where}: expected {len(self.columns)} columns, as above, got {len(fields)}.", row)
        for column, field in zip(self.columns, fields, strict=True):
            if column == self.label or (_is_number(field) and np.isfinite(float(field))):
                continue
            if not field.strip() or _is_number(field):
                what = f"got {field.strip()}" if field.strip() else "got nothing"
                raise DataError(
                    f"{where}, column '{column}': expected a finite number, {what}. Leave this row out, or fill it in.",
                    row,
                )
            raise DataError(
                f"{where}, column '{column}': expected a number, got {field!r}. Leave the column out, or say "
                f"that it is the label: --label {column}",
                row,
            )


def _is_number(field: Any) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
