"""Contents of reports on VAEs for the tests: made up, without torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pyro_vae.diagnostics import (
    RowCheck,
    active_units,
    code_distances,
    elbo_surgery,
    judge,
    latent_table,
    plane_of,
    posterior_collapse,
)
from pyro_vae.posterior.datatree import build
from pyro_vae.report.vae_content import Pictures, Remark, RowEvidence, VAEContent
from tests.plots import vaes

RNG = np.random.default_rng(1)
STORY = "Made-up rows, <b>bold</b> & all.\n\nThere is no model behind them."
WORDS = ["the old whale sees the sailor", "the <cook> stirs"]


def images() -> VAEContent:
    """Nine latents, of which two are not used; two rows judged on NUTS, one of which the encoder gets wrong."""
    rng = np.random.default_rng(0)
    kl = rng.exponential(vaes.KL, size=(300, 9))
    table = latent_table(kl, vaes.NAMES)
    collapse = posterior_collapse(table, 9.0, 0.4)
    means = vaes.CODES * np.sqrt(vaes.KL)
    apart = -0.5 * ((vaes.CODES[:, None] - vaes.CODES) ** 2).sum(-1)
    shown = rng.uniform(size=(6, 8, 8, 1))
    return VAEContent(
        title="digits <i>& more</i>",
        story=STORY,
        rows=300,
        findings=(
            Remark("trusted", "the code", collapse.reason, collapse.advice),
            Remark("untrusted", "the encoder", "One row is untrusted.", "A larger encoder."),
            Remark("reweight", "the samples", "The codes are off the prior."),
            Remark("none", "the evidence", "Nothing independent was there."),
        ),
        table=table,
        exact_kl=True,
        units=active_units(means),
        unit_names=tuple(vaes.NAMES),
        normal=True,
        explained=(-20.1, 0.2),
        worth=(9.0, 0.4),
        collapse=collapse,
        evidence=RowEvidence(-25.6, 0.2, -24.9, 0.01, 0.2, 256, 0.31, 0.02, 32, "", -0.3),
        surgery=elbo_surgery(apart, np.diag(apart), -0.5 * (vaes.CODES**2).sum(1)),
        distances=code_distances(vaes.CODES, vaes.PRIOR),
        codes=vaes.CODES,
        prior_codes=vaes.PRIOR,
        plane=plane_of(means, vaes.NAMES),
        labels=vaes.LABELS,
        pictures=Pictures(
            "images", shown, 1 - shown, shown, interpolations=shown[None], traversals=np.stack([shown] * 9),
            traversed=tuple(vaes.NAMES), values=("low", "", "", "", "", "high"),
        ),
        checks=(_check(4, 1.0), _check(11, 2.0)),
        terms=vaes.TERMS,
        run={"seed": "0", "rows": "300"},
    )  # fmt: skip


def sentences() -> VAEContent:
    """One latent site without a code of its own, lost; discrete, so that no row is judged."""
    whole = images()
    table = latent_table(np.full((300, 1), 0.001), ["z"])
    collapse = posterior_collapse(table, 0.0, 0.01)
    lost = Remark("untrusted", "the code", collapse.reason, collapse.advice)
    return replace(
        whole,
        findings=(lost, *whole.findings[1:]),
        table=table,
        collapse=collapse,
        exact_kl=False,
        normal=False,
        pictures=Pictures(
            "sentences", WORDS, WORDS[::-1], WORDS, interpolations=[WORDS * 4, WORDS * 4], traversals=[WORDS, WORDS],
            traversed=("z[0]", "z[1]"), values=("0", "1"),
        ),
        evidence=replace(whole.evidence, gap=None, gap_missing="gap_rows=0"),
        checks=(),
        checks_missing="its latents are discrete, and NUTS needs a gradient",
        labels=None,
        terms=None,
    )  # fmt: skip


def _check(row: int, wrong: float) -> RowCheck:
    """The encoder's sds are too large by this factor."""
    names = ["z[0]", "z[1]"]
    exact = {"attrs": {"exact": True}}
    baseline = build({"posterior": dict(zip(names, RNG.normal(size=(2, 4, 1000)), strict=True))}, **exact)
    guide = build({"posterior": dict(zip(names, wrong * RNG.normal(size=(2, 4, 1000)), strict=True))})
    judged = judge("encoder", guide, baseline)
    return RowCheck(row, judged, guide, baseline, -24.1, 0.004, -24.1 - (wrong - 1), 0.003)
