"""What was found about the gradients of one model and guide: tables, a recommendation, a figure, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyro_vae.diagnostics.gradient_noise import EstimatorNoise

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class GradientStudy:
    """The gradients of several estimators on one model and guide. Made by :func:`~pyro_vae.gradients`.

    ``rows`` are the findings by place, estimator and part of the parameters; ``left_out`` says, by estimator, why one
    has none. ``entries`` are the names of the scalar parameters by part: the ``"guide"``'s, the ``"model"``'s, and
    those that ``"both"`` use. ``run`` is how it was measured.
    """

    title: str
    rows: tuple[EstimatorNoise, ...]
    left_out: Mapping[str, str]
    entries: Mapping[str, tuple[str, ...]] = field(repr=False)
    run: Mapping[str, str] = field(default_factory=dict, repr=False)

    def table(self) -> pd.DataFrame:
        """One row per place (``at``), part of the parameters (``of``) and estimator.

        Columns: ``objective``, of which the gradient is meant to be one: variances and biases can be compared where it
        is the same. ``variance``, summed over the part's parameters, and its standard error ``variance_se``; ``snr``,
        the length of the mean over the root of the variance. ``biased``: "no", "yes", "by design", or "unknown" where
        there is nothing to hold the mean against; ``bias``, the length of the mean's distance from the reference, and
        ``bias_se``, the length that noise alone would give it; ``z``, of the parameter that is furthest off, in
        standard errors; ``reference``, where the reference comes from. ``seconds``, the median of one gradient, and
        ``seconds_min``; ``evaluations`` of the model per gradient, every particle counted. ``variance_seconds`` and
        ``variance_evaluations``, the products to choose by: less is better. ``gradients``, how many were measured;
        ``warmup``, the steps in which the estimator learned before. NaN where nothing is known.
        """
        import pandas as pd

        return pd.DataFrame([_numbers(row) for row in self.rows]).set_index(["at", "of", "estimator"]).sort_index()

    def parameters(self) -> pd.DataFrame:
        """One row per place, part, estimator and scalar parameter: ``mean`` (uphill) and its standard error
        ``mean_se``, ``variance``, ``snr``, ``bias``, ``bias_se`` and ``z``, see :meth:`table`."""
        import pandas as pd

        keys = ["at", "of", "estimator", "parameter"]
        return pd.concat([self._entries(row) for row in self.rows]).set_index(keys).sort_index()

    def _entries(self, row: EstimatorNoise) -> pd.DataFrame:
        import pandas as pd

        moments, bias = row.moments, row.bias
        unknown = np.full_like(moments.mean, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            snr = np.abs(moments.mean) / np.sqrt(moments.variance)
        return pd.DataFrame(
            {
                "at": row.place,
                "of": row.part,
                "estimator": row.estimator,
                "parameter": list(self.entries[row.part]),
                "mean": moments.mean,
                "mean_se": moments.error,
                "variance": moments.variance,
                "snr": snr,
                "bias": unknown if bias is None else bias.difference,
                "bias_se": unknown if bias is None else bias.error,
                "z": unknown if bias is None else bias.z,
            }
        )

    @cached_property
    def recommendation(self) -> str:
        """Which estimator to choose and why, in words; a line per objective."""
        from pyro_vae.diagnostics.gradient_advice import recommendation

        return recommendation(self.rows, self.entries)

    def plot(self, of: str | None = None) -> Figure:
        """The variance of one gradient, and variance x seconds, of every estimator at every place.

        Args:
            of: a part of the parameters; default the guide's, or the first that there is.
        """
        from pyro_vae.plots import plot_gradients

        return plot_gradients(self.rows, of=of)

    def save(self, folder: str | Path) -> Path:
        """Write ``gradients.csv``, ``parameters.csv``, ``recommendation.txt`` and a figure for each part of the
        parameters; returns the folder.

        The folder is written beside its place and then renamed: it is whole or not there. An earlier study in its place
        is replaced, anything else is left alone: :class:`~pyro_vae.errors.OutputError`.
        """
        from pyro_vae.plots import style
        from pyro_vae.studies.folder import new_folder

        with new_folder(folder) as part:
            self.table().to_csv(part / "gradients.csv")
            self.parameters().to_csv(part / "parameters.csv")
            reasons = [f"Left out: {name}. {why}" for name, why in self.left_out.items()]
            (part / "recommendation.txt").write_text("\n".join([self.recommendation, *reasons, ""]), encoding="utf-8")
            for name in self.entries:
                style.save(self.plot(of=name), part / f"gradients_{name}.png", "png")
        return Path(folder)


def _numbers(row: EstimatorNoise) -> dict[str, Any]:
    moments, bias, nan = row.moments, row.bias, float("nan")
    return {
        "at": row.place,
        "of": row.part,
        "estimator": row.estimator,
        "objective": row.objective,
        "variance": moments.total_variance,
        "variance_se": moments.total_variance_error,
        "snr": moments.signal_to_noise,
        "biased": row.biased,
        "bias": nan if bias is None else bias.size,
        "bias_se": nan if bias is None else bias.size_error,
        "z": nan if bias is None else bias.z[bias.worst],
        "reference": row.reference,
        "seconds": row.cost,
        "seconds_min": float(row.seconds.min()),
        "evaluations": row.evaluations,
        "variance_seconds": row.variance_seconds,
        "variance_evaluations": row.variance_evaluations,
        "gradients": moments.count,
        "warmup": row.warmup,
    }
