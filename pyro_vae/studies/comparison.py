"""What a comparison found: verdicts, tables, draws; shown as text, pandas, HTML or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from pyro_vae.diagnostics import Judgement, Verdict
    from pyro_vae.posterior.convergence import ChainHealth
    from pyro_vae.report.content import ReportContent
    from pyro_vae.training import Fit

_NUMBERS = 2_000_000  # 8 MB in 32 bits


@dataclass(frozen=True)
class Comparison:
    """The guides of one model, judged on one baseline. Made by :func:`~pyro_vae.compare`.

    What is said per guide is per entry, "guide / estimator" or the estimator alone, where ``several`` estimators were
    compared; ``kind`` says which. ``diverged`` has, by entry, why a fit ended that diverged: it has no draws and no
    judgement, and in ``fits`` what it had reached.

    ``posteriors`` are the guides' draws and ``baseline`` the baseline's, as ``xarray.DataTree``; ``judgements`` hold
    per guide the table, the importance weights and the verdict. ``fits`` are the fits by guide, empty with
    ``refit=False``. ``health`` says whether the baseline counts, ``how`` in one sentence how it was reached. ``run``
    is how it was run: versions, seeds, options, seconds. ``reference`` is what is known exactly, for a program that
    says. ``set_aside``: the draws of a run of NUTS that does not count, where the ``baseline`` is the guides' weighted
    draws instead.
    """

    title: str
    posteriors: Mapping[str, xr.DataTree]
    baseline: xr.DataTree
    judgements: Mapping[str, Judgement]
    health: ChainHealth | None
    how: str
    fits: Mapping[str, Fit] = field(default_factory=dict, repr=False)
    run: Mapping[str, str] = field(default_factory=dict, repr=False)
    reference: Mapping[str, Any] | None = field(default=None, repr=False)
    story: str = field(default="", repr=False)
    diverged: Mapping[str, str] = field(default_factory=dict)
    kind: str = "guide"
    several: bool = False
    set_aside: xr.DataTree | None = field(default=None, repr=False)

    @property
    def evidence(self) -> str:
        """What the verdicts rest on: "NUTS", "exact draws" or "importance weights alone"."""
        from pyro_vae.diagnostics.baseline import evidence_of

        return evidence_of(self.baseline)

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """By guide: ``.level``, ``.reason``, ``.parameter``, ``.evidence``. A fit that diverged has level "none"."""
        from pyro_vae.diagnostics.verdict import Verdict

        found = {name: judgement.verdict for name, judgement in self.judgements.items()}
        return found | {name: Verdict("none", f"The fit diverged. {why}", None) for name, why in self.diverged.items()}

    @property
    def verdict(self) -> str:
        """The verdicts in plain words, a line per guide."""
        return "\n".join(f"{name}: {verdict.level}. {verdict.reason}" for name, verdict in self.verdicts.items())

    def summary(self) -> pd.DataFrame:
        """One row per guide and parameter, differences in sds of the baseline.

        The columns that begin with ``corrected_`` are those of the importance-weighted draws.
        """
        import pandas as pd

        tables = {}
        for name, judgement in self.judgements.items():
            table = judgement.table
            if judgement.corrected is not None:
                wanted = [key for key in ("mean", "sd", "delta_mean", "sd_ratio") if key in judgement.corrected]
                table = table.join(judgement.corrected[wanted].add_prefix("corrected_"))
            tables[name] = table
        return pd.concat(tables, names=[self.kind, "parameter"])

    def estimators(self) -> pd.DataFrame:
        """One row per fit: what it reached, on its own scale and on the common one, and what it cost.

        Columns: ``bound`` and ``bound_se``, the fit's own objective; ``elbo`` and ``elbo_se``, the plain ELBO of the
        fitted guide, from the draws that it is judged by, on which fits with different objectives can be compared;
        ``khat``; ``level`` of the verdict; ``converged``, ``diverged``; ``upper_bound``, whether ``bound`` is one;
        ``steps``, ``ms_per_step`` (the median), ``seconds`` of the steps without ``start_up``, which is what the first
        step took beyond a usual one (imports, compiling). Nats, NaN where nothing is known. A fit that diverged has no
        ``bound`` and no ``elbo``. With ``restarts``, steps and times are those of the start that was kept.
        """
        import pandas as pd

        from pyro_vae.report.estimators import numbers

        return pd.DataFrame(numbers(self.content())).set_index(self.kind)

    def content(self) -> ReportContent:
        """Everything that a report shows."""
        from pyro_vae.report.content import ReportContent

        return ReportContent(
            title=self.title,
            story=self.story,
            verdict_text=self.verdict,
            judgements=dict(self.judgements),
            posteriors=dict(self.posteriors),
            baseline=self.baseline,
            health=self.health,
            how=self.how,
            histories={name: fit.history for name, fit in self.fits.items()},
            run=dict(self.run),
            reference=None if self.reference is None else dict(self.reference),
            diverged=dict(self.diverged),
            kind=self.kind,
            several=self.several,
            fits={name: fit.attributes() for name, fit in self.fits.items()},
        )

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one self-contained file; returns its path.

        Raises :class:`~pyro_vae.errors.OutputError` naming the path.
        """
        from pyro_vae.report import write_html

        path = Path(path)
        write_html(self.content(), path)
        return path

    def save(self, folder: str | Path) -> Path:
        """Write ``report.html``, ``figures/``, ``draws/`` (netCDF) and ``summary.csv``; returns the folder.

        With many observations, the files keep ``log_likelihood`` and ``posterior_predictive`` of every second, third,
        ... draw only. The folder is written beside its place and then renamed: it is whole or not there. An earlier
        report in its place is replaced, anything else is left alone: :class:`~pyro_vae.errors.OutputError`.
        """
        from pyro_vae.posterior.datatree import save
        from pyro_vae.report import save_figures
        from pyro_vae.studies.folder import file_names, new_folder

        content = self.content()
        with new_folder(folder) as part:
            self.to_html(part / "report.html")
            save_figures(content, part / "figures")
            save(_lean(self.baseline), part / "draws" / "baseline.nc")
            if self.set_aside is not None:
                save(_lean(self.set_aside), part / "draws" / "set_aside.nc")
            for name, file in file_names(self.posteriors, taken=("baseline", "set_aside")).items():
                save(_lean(self.posteriors[name]), part / "draws" / f"{file}.nc")
            self.summary().to_csv(part / "summary.csv")
            if self.several:
                self.estimators().to_csv(part / "estimators.csv")
        return Path(folder)


def _lean(tree: xr.DataTree) -> xr.DataTree:
    """``tree`` with at most ``_NUMBERS`` in each group that has a number per draw and observation."""
    lean = tree.copy()
    for group in ("log_likelihood", "posterior_predictive"):
        if group in lean.children:
            step = -(-sum(array.size for array in lean[group].data_vars.values()) // _NUMBERS)
            lean[group] = lean[group].isel(draw=slice(None, None, step or 1))
    return lean
