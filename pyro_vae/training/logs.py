"""A fit's history on disk while it runs: CSV, and TensorBoard where that is installed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyro_vae.errors import OutputError

COLUMNS = ("step", "bound", "gradient_norm", "learning_rate", "seconds", "elbo")


class Log:
    """``history.csv`` has every step, ``validation.csv`` every check, with the terms of the bound if they are recorded;
    both are written anew when a run is resumed.

    TensorBoard, and the loggers of a ``Fabric``, get the last step of every stride of steps: a few points a second.
    """

    def __init__(self, folder: Path | None, loggers: Sequence[Any] = (), first_step: int = 0):
        self.loggers = list(loggers)
        self.tables: list[_Table] = []
        self.written = 0
        self.board: Any = None
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.tables = [
                _Table(folder / "history.csv", COLUMNS),
                _Table(folder / "validation.csv", ("step", "bound_per_row")),
            ]
        except OSError as error:
            raise OutputError(f"log={str(folder)!r}: cannot be written ({error.strerror}).") from error
        self.board = _board(folder, first_step)

    def write(
        self, rows: Sequence[Sequence[float]], checks: Sequence[tuple[float, ...]] = (), terms: Sequence[str] = ()
    ) -> None:
        """All rows and checks so far, of which the first are written already; ``terms`` names the checks' columns."""
        if self.tables:
            history, validation = self.tables
            history.write([(index + 1, *rows[index]) for index in range(history.count, len(rows))])
            if checks:
                validation.name(("step", "bound_per_row", *terms))
            validation.write(checks[validation.count :])
        if len(rows) > self.written and (self.board is not None or self.loggers):
            self._point({f"fit/{name}": value for name, value in zip(COLUMNS[1:], rows[-1], strict=True)}, len(rows))
            if checks:
                names = ("bound_per_row", *terms)
                values = {f"validation/{name}": x for name, x in zip(names, checks[-1][1:], strict=True)}
                self._point(values, int(checks[-1][0]))
        self.written = len(rows)

    def _point(self, values: dict[str, float], step: int) -> None:
        for logger in self.loggers:
            logger.log_metrics(values, step)
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        for table in self.tables:
            table.file.close()
        if self.board is not None:
            self.board.close()
        for logger in self.loggers:
            logger.save()


class _Table:
    def __init__(self, path: Path, columns: Sequence[str]):
        self.file = path.open("w", newline="")
        self.writer = csv.writer(self.file)
        self.columns: tuple[str, ...] = ()
        self.count = 0
        self.name(columns)

    def name(self, columns: Sequence[str]) -> None:
        """Write the first line, anew if the columns are others now: names of terms are known once there are some."""
        if self.count == 0 and tuple(columns) != self.columns:
            self.columns = tuple(columns)
            self.file.seek(0)
            self.file.truncate()
            self.writer.writerow(columns)

    def write(self, rows: Sequence[Sequence[float]]) -> None:
        self.writer.writerows(rows)
        self.count += len(rows)
        self.file.flush()


def _board(folder: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=first_step + 1 if first_step else None)
