"""q(z | x) of one row, judged on NUTS with the decoder fixed; and the row's evidence in two ways."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from pyro_vae.diagnostics.judgement import Judgement

NEAR = 0.05  # nats: closer than this is agreement, whatever the errors


@dataclass(frozen=True)
class RowCheck:
    """One row: what the encoder says of its z beside NUTS.

    ``row`` is its number in the data; ``evidence`` is log p(x) from NUTS by bridge sampling and ``iwae`` the
    importance-weighted bound from the encoder's draws, both in nats with their standard errors.
    """

    row: int
    judgement: Judgement
    posterior: xr.DataTree
    baseline: xr.DataTree
    evidence: float
    evidence_error: float
    iwae: float
    iwae_error: float

    @property
    def level(self) -> str:
        """Of the verdict on the encoder."""
        return self.judgement.verdict.level

    @property
    def difference(self) -> float:
        """The bound less the evidence: negative where too few weights count."""
        return self.iwae - self.evidence

    @property
    def agrees(self) -> bool:
        """Whether the two evidences are the same within four standard errors."""
        return abs(self.difference) < max(NEAR, 4 * (self.evidence_error**2 + self.iwae_error**2) ** 0.5)
