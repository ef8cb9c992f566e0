"""Contents of reports for the tests, judged as a comparison judges them."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from pyro_vae.diagnostics import check_baseline, judge
from pyro_vae.posterior.datatree import build
from pyro_vae.report.content import ReportContent
from pyro_vae.report.figures import Drawn
from tests.plots import trees

ATTEMPTS = [
    dict(zip(("parametrisation", "target_accept", "divergences", "max_rhat", "min_ess", "counts"), run, strict=True))
    for run in (
        ("centred", 0.8, 212, 1.03, 91.0, False),
        ("centred", 0.95, 38, 1.02, 160.0, False),
        ("baseline_model", 0.8, 0, 1.001, 2300.0, True),
    )
]
HOW = (
    "NUTS on the model as it is had 212 divergences, and 38 with a target acceptance of 0.95; the draws are those of "
    "the program's baseline_model, in the original sites."
)
STORY = "Eight schools: does coaching for a test help?\n\nThe schools share a distribution of effects, <mu & tau>."


def eight_schools(divergences: bool = False) -> ReportContent:
    """Eight schools with a mean-field and a full-rank guide; with divergences the baseline does not count."""
    schools = trees.eight_schools()
    baseline = schools.baseline
    if not divergences:
        baseline["sample_stats"]["diverging"].values[:] = False
    baseline.attrs["attempts"] = json.dumps(ATTEMPTS)
    histories = {name: trees.history(-33.4, seed=i) for i, name in enumerate(schools.posteriors)}
    health = check_baseline(baseline)
    return ReportContent(
        title="eight_schools",
        story=STORY,
        verdict_text="",
        judgements={
            name: judge(name, tree, baseline, histories[name].bound, health=health)
            for name, tree in schools.posteriors.items()
        },
        posteriors=schools.posteriors,
        baseline=baseline,
        health=health,
        how=HOW,
        histories=histories,
        run={"when": "2025-01-01", "seed": "0", "torch": "2.13.0", "options": "a <b> & 'c' \"d\""},
        reference={"log_evidence": {"value": -31.3113, "source": "quadrature"}, "parameters": {"tau": {"mean": 3.598}}},
    )


def bimodal() -> ReportContent:
    """A guide on one of two modes, judged on exact draws; it was not fitted here, and predicts nothing."""
    rng = np.random.default_rng(0)
    exact = build(
        {"posterior": {"x": (rng.choice([-4, 4], 4000) + rng.normal(size=4000))[None]}}, attrs={"exact": True}
    )
    x = 4 + 1.02 * rng.normal(size=4000)
    log_q = -0.5 * ((x - 4) / 1.02) ** 2 - np.log(1.02)
    log_p = np.logaddexp(-0.5 * (x - 4) ** 2, -0.5 * (x + 4) ** 2) - np.log(2)
    guide = build({"posterior": {"x": x[None]}, "sample_stats": {"log_p": log_p[None], "log_q": log_q[None]}})
    return ReportContent(
        title="bimodal",
        story="",
        verdict_text="",
        judgements={"mine": judge("mine", guide, exact)},
        posteriors={"mine": guide},
        baseline=exact,
        health=check_baseline(exact),
        how="4000 exact draws of the program.",
    )


def many(parameters: int = 60, guides: int = 3) -> ReportContent:
    """More parameters than a page shows at once, long names, one guide right and the others not."""
    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-2, 3, size=parameters)
    dims = {"w": ["feature"]}
    coords = {"feature": [f"mean fractal dimension of nucleus {i}" for i in range(parameters)]}

    def tree(width: float, chains: int):
        draws = scale * (2 + width * rng.normal(size=(chains, 1000, parameters)))
        groups = {"posterior": {"w": draws}}
        if chains == 1:
            log_q = -0.5 * (((draws / scale - 2) / width) ** 2).sum(-1) - parameters * np.log(width)
            log_p = -0.5 * ((draws / scale - 2) ** 2).sum(-1)
            groups["sample_stats"] = {"log_p": log_p, "log_q": log_q}
        return build(groups, dims=dims, coords=coords, attrs={"seconds": 95.0, "bound": -1234.5, "bound_se": 0.31})

    baseline = tree(1.0, 4)
    posteriors = {f"a_guide_with_a_long_name_{i}": tree(1.0 - 0.3 * i, 1) for i in range(guides)}
    return ReportContent(
        title="logistic_regression",
        story="A story.",
        verdict_text="",
        judgements={name: judge(name, own, baseline) for name, own in posteriors.items()},
        posteriors=posteriors,
        baseline=baseline,
        health=check_baseline(baseline),
        how="NUTS with nutpie, 4 chains.",
        histories={name: SimpleNamespace(**vars(trees.history(-1234.5 - i))) for i, name in enumerate(posteriors)},
    )


def estimators() -> ReportContent:
    """Four gradient estimators on eight schools: two guides of theirs, one without a known ELBO, one that diverged."""
    schools = eight_schools()
    given = dict(zip(("reparameterized", "score-function:leave-one-out"), schools.posteriors.values(), strict=True))
    given["dreg"] = given["reparameterized"]
    histories = {name: trees.history(-33.4, seed=i, gap=i / 4) for i, name in enumerate(given)}
    histories["auto_low_rank / exploding"] = trees.history(-33.4, steps=30)
    health = check_baseline(schools.baseline)
    attributes = {"bound": -33.4161, "bound_se": 0.0123, "converged": 1, "steps": 3000, "seconds": 2.0}
    return replace(
        schools,
        judgements={
            name: judge(name, tree, schools.baseline, histories[name].bound, health=health)
            for name, tree in given.items()
        },
        posteriors=given,
        histories=histories,
        kind="estimator",
        several=True,
        fits=dict.fromkeys(histories, attributes),
        diverged={"auto_low_rank / exploding": "The bound became NaN or infinite at step 30. At fault: site 'tau'."},
    )


def without_figures(content: ReportContent) -> ReportContent:
    """The same content as if its figures had been drawn, and there were none: for tests that look at the rest."""
    vars(content).update(drawn=Drawn({}, {}), drawn_narrow=Drawn({}, {}))
    return content
