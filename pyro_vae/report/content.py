"""Everything that a report shows, as plain data: results go in, and each form of the report reads the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

    from pyro_vae.diagnostics.judgement import Judgement
    from pyro_vae.posterior.convergence import ChainHealth
    from pyro_vae.report.figures import Drawn


@dataclass(frozen=True)
class ReportContent:
    """The guides of one model, judged on one baseline.

    Args:
        title: The model's name.
        story: The docstring of its program, or empty.
        verdict_text: The verdicts in plain words, a line per guide.
        judgements: By guide, what ``diagnostics.judge`` found.
        posteriors: By guide, its draws; ``attrs`` hold ``bound``, ``bound_se`` (nats), ``seconds``, ``steps``.
        baseline: The draws that the guides are judged on.
        health: Whether these count, and why not; None if nobody asked.
        how: One sentence on how the baseline was reached.
        histories: By guide, what has ``bound`` (nats) and ``seconds``, ``[steps]``, and ``elbo`` where estimators are
            compared; not of guides that were not fitted.
        run: How it was run, as it is to be shown: versions, seeds, options, times.
        reference: A program's exact values: ``log_evidence``, ``parameters`` with their ``mean``.
        diverged: By guide, why a fit ended that diverged. It has no draws and no judgement.
        kind: What the names are those of: "guide", "estimator" or "guide / estimator".
        several: Whether gradient estimators are compared. Then the report has a table and a figure of them.
        fits: By guide, the attributes of the fit, of those that diverged too: ``bound``, ``bound_se``, ``steps``,
            ``seconds``, ``converged``, ``estimator``.
    """

    title: str
    story: str
    verdict_text: str
    judgements: Mapping[str, Judgement]
    posteriors: Mapping[str, xr.DataTree]
    baseline: xr.DataTree
    health: ChainHealth | None = None
    how: str = ""
    histories: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, str] = field(default_factory=dict)
    reference: Mapping[str, Any] | None = None
    diverged: Mapping[str, str] = field(default_factory=dict)
    kind: str = "guide"
    several: bool = False
    fits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def log_evidence(self) -> float | None:
        """The exact log evidence in nats, where the program knows it."""
        return _value((self.reference or {}).get("log_evidence"))

    @property
    def exact_means(self) -> dict[str, float]:
        """The exact posterior means by parameter, as far as the program knows them."""
        known = (self.reference or {}).get("parameters") or {}
        means = {name: _value(entry.get("mean")) for name, entry in known.items() if isinstance(entry, Mapping)}
        return {name: mean for name, mean in means.items() if mean is not None}

    @property
    def names(self) -> list[str]:
        """All guides, in the order that their colours have: those with draws, then those whose fit diverged."""
        return [*self.posteriors, *self.diverged]

    @property
    def without_mcmc(self) -> bool:
        """Whether the baseline is a guide's weighted draws, and the verdicts rest on importance weights alone."""
        from pyro_vae.diagnostics.baseline import is_weighted

        return is_weighted(self.baseline)

    @property
    def baseline_name(self) -> str:
        """``NUTS``, ``exact draws`` or ``reference draws``."""
        from pyro_vae.plots.draws import baseline_name

        return baseline_name(self.baseline)

    @cached_property
    def drawn(self) -> Drawn:
        """The figures for a page, drawn when they are first asked for."""
        from pyro_vae.plots.style import WIDTH
        from pyro_vae.report.figures import draw

        return draw(self, WIDTH)

    @cached_property
    def drawn_narrow(self) -> Drawn:
        """The same figures for a phone."""
        from pyro_vae.plots.style import NARROW
        from pyro_vae.report.figures import draw

        return draw(self, NARROW)


def _value(entry: Any) -> float | None:
    """A number, or the ``value`` of an entry that also says where it comes from."""
    if isinstance(entry, Mapping):
        entry = entry.get("value")
    return float(entry) if isinstance(entry, int | float) and not isinstance(entry, bool) else None
