"""What a calibration study found: a table, a verdict in words, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyro_vae.diagnostics.calibration import (
    LEVEL,
    LOG_LIKELIHOOD,
    CalibrationVerdict,
    Method,
    calibration_table,
    judge_calibration,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_FAILED = 0.05  # of the simulations: with more, those that went well do not speak for all


@dataclass(frozen=True)
class Calibration:
    """A study of one guide, or of NUTS, on one model. Made by :func:`~pyro_vae.calibrate`.

    ``records`` has a dict for each simulation that was run, failed ones included: its ``index``; ``truth`` of every
    scalar quantity; ``ranks``, ``[rank, draws, pit]`` of each; ``facts`` of the fit; ``error``, None or why it failed;
    ``seconds``. ``simulations`` is how many were asked for.
    """

    title: str
    guide: str
    method: Method
    simulations: int
    records: Sequence[Mapping[str, Any]] = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    level: float = LEVEL

    @property
    def failures(self) -> dict[int, str]:
        """Why simulations failed, by their number."""
        return {record["index"]: record["error"] for record in self.records if record["error"] is not None}

    @property
    def good(self) -> list[Mapping[str, Any]]:
        """The records of the simulations that did not fail."""
        return [record for record in self.records if record["error"] is None]

    @cached_property
    def pits(self) -> dict[str, np.ndarray]:
        """Where the truth stood among the draws, in (0, 1), ``{label: [simulations that did not fail]}``.

        SBC has the joint log-likelihood of the data among its quantities; VSBC speaks of parameters alone.
        """
        good = self.good
        labels = [label for label in good[0]["ranks"] if all(label in one["ranks"] for one in good)] if good else []
        if self.method == "vsbc":
            labels = [label for label in labels if label != LOG_LIKELIHOOD]
        return {label: np.array([record["ranks"][label][2] for record in good]) for label in labels}

    def summary(self) -> pd.DataFrame:
        """One row per quantity; columns as in :func:`~pyro_vae.diagnostics.calibration.calibration_table`."""
        return calibration_table(self.pits)

    @cached_property
    def finding(self) -> CalibrationVerdict:
        """The test's verdict on the simulations that did not fail, at ``level``."""
        if len(self.good) < 2:
            return CalibrationVerdict(False, (), f"No verdict: {len(self.good)} simulations have ranks.")
        return judge_calibration(self.summary(), self.method, self.level)

    @property
    def calibrated(self) -> bool:
        """Whether nothing speaks against it: the test found nothing, and no more than 5 % of the simulations failed."""
        return self.finding.calibrated and len(self.failures) <= MOST_FAILED * len(self.records)

    @property
    def verdict(self) -> str:
        """The verdict in one paragraph of plain words."""
        return " ".join([f"{self.guide}, {self.method.upper()}: {self.finding.reason}", *self._remarks()])

    def _remarks(self) -> list[str]:
        run, good = len(self.records), self.good
        said = []
        if self.failures:
            index, why = next(iter(self.failures.items()))
            few = len(self.failures) <= MOST_FAILED * run
            meaning = "what is said holds for the others" if few else "too many for the others to speak for all"
            failed = f"{len(self.failures)} of {run} simulations failed and have no ranks, {meaning}"
            said.append(f"{failed} (number {index}: {why.rstrip('.')}).")
        unfinished = sum(record["facts"].get("converged") is False for record in good)
        if unfinished:
            said.append(
                f"{unfinished} of {len(good)} fits had not converged: what is found may be that, and not the guide."
            )
        diverged = [record["facts"].get("divergences", 0) for record in good]
        if any(diverged):
            said.append(
                f"Transitions of NUTS diverged in {np.count_nonzero(diverged)} of {len(good)} simulations "
                f"({sum(diverged)} in all)."
            )
        if run < self.simulations:
            said.append(f"{run} of the {self.simulations} simulations that were asked for have been run.")
        return said

    def plot(self, **options: Any) -> Figure:
        """The picture of the method: :func:`~pyro_vae.plots.plot_sbc` or :func:`~pyro_vae.plots.plot_vsbc`."""
        from pyro_vae.plots import plot_sbc, plot_vsbc

        return {"sbc": plot_sbc, "vsbc": plot_vsbc}[self.method](self.pits, level=self.level, **options)

    def save(self, folder: str | Path) -> Path:
        """Write ``summary.csv``, ``verdict.txt`` and the picture into a folder; returns it. Each file is whole.

        Raises :class:`~pyro_vae.errors.OutputError` naming the path.
        """
        from pyro_vae.files import written_beside
        from pyro_vae.plots.style import save

        folder = Path(folder).expanduser()
        with written_beside(folder / "verdict.txt", "the verdict") as part:
            part.write_text(f"{self.verdict}\n", encoding="utf-8")
        if len(self.good) >= 2:
            with written_beside(folder / "summary.csv", "the table") as part:
                self.summary().to_csv(part, index_label="quantity")
            with written_beside(folder / f"{self.method}.png", "the picture") as part:
                save(self.plot(), part, "png")
        return folder
