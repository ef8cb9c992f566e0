"""The rows of a run: which are trained on and which are looked at, and how they come in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from pyro_vae.errors import OptionError


class RowsOfData(Dataset):
    """Rows of the model's arguments, a batch of them at once: ``{name: [rows, ...]}``.

    >>> loader = batches_of({"x": torch.arange(4), "scale": 2.0}, 4, 3)
    >>> sorted(next(iter(loader)).items())
    [('scale', 2.0), ('x', tensor([0, 1, 2]))]
    """

    def __init__(self, data: Mapping[str, Any], rows: int):
        self.data, self.rows = data, rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self._at(row)

    def __getitems__(self, rows: list[int]) -> dict[str, Any]:
        return self._at(torch.tensor(rows))

    def _at(self, index: Any) -> dict[str, Any]:
        return {name: value[index] if self._has_rows(value) else value for name, value in self.data.items()}

    def _has_rows(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dim() > 0 and len(value) == self.rows


def batches_of(data: Mapping[str, Any], rows: int, batch_size: int, *, shuffle: bool = False) -> DataLoader:
    """A loader of the data's rows."""
    return DataLoader(RowsOfData(data, rows), batch_size=min(batch_size, rows), shuffle=shuffle, collate_fn=_together)


def _together(batch: Any) -> Any:
    return batch if isinstance(batch, dict) else default_collate(batch)


def split(rows: int, share: float | None, seed: int) -> tuple[Tensor, Tensor | None]:
    """Which rows are trained on and which are held out, both in their order; drawn with a generator of its own.

    >>> [part.tolist() for part in split(6, 1 / 3, seed=0)]
    [[0, 1, 3, 4], [2, 5]]
    """
    if share is None:
        return torch.arange(rows), None
    held_out = max(1, round(share * rows))
    if held_out >= rows:
        raise OptionError(f"validation={share}: leaves none of {rows} rows to train on.")
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    return order[held_out:].sort().values, order[:held_out].sort().values
