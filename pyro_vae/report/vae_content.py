"""Everything that the report on a VAE shows, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from pyro_vae.diagnostics import ActiveUnits, Collapse, Distances, Plane, RowCheck, Surgery
    from pyro_vae.diagnostics.verdict import Level
    from pyro_vae.report.figures import Drawn


@dataclass(frozen=True)
class Remark:
    """One judgement: ``level`` as the badges have it ("trusted", "reweight", "untrusted", "none"), what it is about,
    what was found and what to do, in words."""

    level: Level
    about: str
    reason: str
    advice: str = ""


@dataclass(frozen=True)
class Pictures:
    """Rows as they are shown: "images" (arrays ``[..., H, W, C]``), "sentences" (lists of them) or "arrays".

    ``originals`` and ``reconstructions`` ``[N, ...]``, ``samples`` ``[M, ...]``; ``interpolations`` ``[pairs, steps,
    ...]``; ``traversals`` ``[dims, values, ...]`` with ``traversed`` names and ``values`` as labels. What could not be
    made is None, and ``missing`` says why.
    """

    kind: str
    originals: Any
    reconstructions: Any
    samples: Any
    interpolations: Any = None
    traversals: Any = None
    traversed: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[float, float] | None = (0.0, 1.0)


@dataclass(frozen=True)
class RowEvidence:
    """In nats per row, each with its standard error: the ELBO; the importance-weighted bound of K draws, with its error
    by the draws and, ``population_error``, over the rows; and from ``gap_rows`` rows how much the ELBO rises where q(z)
    is optimised for each row, None where that was not measured.

    ``short`` is how far the importance-weighted bound lies below that optimised ELBO on the same rows. Above 0, K is
    too small: both are bounds on the evidence.
    """

    elbo: float
    elbo_error: float
    iwae: float
    iwae_error: float
    population_error: float
    K: int
    gap: float | None = None
    gap_error: float = float("nan")
    gap_rows: int = 0
    gap_missing: str = ""
    short: float = float("nan")

    @property
    def inference_gap(self) -> float:
        """The bound of K draws less the ELBO: at least this much is lost by q(z | x)."""
        return self.iwae - self.elbo


@dataclass(frozen=True)
class VAEContent:
    """A VAE, examined on ``rows`` rows.

    ``table`` is of the latents' components, as :func:`~pyro_vae.diagnostics.latent_table` makes it, ``units`` of what
    the decoder reads (``unit_names``); ``explained`` is the mean of E_q log p(x | z) with its standard error, ``worth``
    how far it falls with another row's code. ``surgery``, ``distances``, ``codes`` and ``prior_codes`` are of the
    aggregated posterior. ``terms`` and ``history`` are those of the fit, if it is known. ``checks`` are the rows judged
    on NUTS; ``checks_missing`` says why there are none.
    """

    title: str
    story: str
    rows: int
    findings: tuple[Remark, ...]
    table: pd.DataFrame
    exact_kl: bool
    units: ActiveUnits
    unit_names: tuple[str, ...]
    normal: bool
    explained: tuple[float, float]
    worth: tuple[float, float]
    collapse: Collapse
    evidence: RowEvidence
    surgery: Surgery
    distances: Distances
    codes: np.ndarray
    prior_codes: np.ndarray
    plane: Plane
    labels: np.ndarray | None
    pictures: Pictures
    checks: tuple[RowCheck, ...] = ()
    checks_missing: str = ""
    terms: Any = None
    history: Any = None
    run: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def drawn(self) -> Drawn:
        """The figures for a page, drawn when they are first asked for."""
        from pyro_vae.plots.style import WIDTH
        from pyro_vae.report.vae_figures import draw_vae

        return draw_vae(self, WIDTH)

    @cached_property
    def drawn_narrow(self) -> Drawn:
        """The same figures for a phone."""
        from pyro_vae.plots.style import NARROW
        from pyro_vae.report.vae_figures import draw_vae

        return draw_vae(self, NARROW)
