"""What to try next: each suggestion is a rule, and says by what it was called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pyro_vae.diagnostics.baseline import MAX_KHAT
from pyro_vae.diagnostics.wording import khat

if TYPE_CHECKING:
    from pyro_vae.diagnostics.findings import Symptom
    from pyro_vae.diagnostics.judgement import Judgement

Kind = Literal["steps", "reweight", "modes", "parametrisation", "full-rank", "flow", "draws", "nuts"]
# A guide without correlations has rank correlations of about 1 / sqrt(draws).
_INDEPENDENT = 0.1
# Families by a part of their name, the better ones first.
_FLOWS = ("spline", "iaf")
_MIXTURES = ("mixture",)
_MOST = 3
# Between the lowest and the highest fifth of a hierarchical scale, widths differ by more than this.
_FUNNEL = 2.0


@dataclass(frozen=True)
class Suggestion:
    """``what`` to try, in words, and ``because`` of what."""

    kind: Kind
    what: str
    because: str

    def sentence(self) -> str:
        """Both.

        >>> Suggestion("steps", "fit longer", "the bound was still rising").sentence()
        'Fit longer: the bound was still rising.'
        """
        return f"{self.what[0].upper()}{self.what[1:]}: {self.because}."


def suggest(judgement: Judgement, guides: Sequence[str] = ()) -> tuple[Suggestion, ...]:
    """At most three things to try for a guide that is not trusted, the most promising first; none for one that is.

    ==================  ===========================================  ==========================================
    rule                what was found                               what is suggested
    ==================  ===========================================  ==========================================
    ``steps``           the bound had not stopped moving             fit longer
    ``reweight``        the verdict is "reweight"                    use the reweighted draws
    ``modes``           a mode of the baseline has no draws          a mixture, or an objective that covers
    ``parametrisation`` a parameter's width depends on another,      the non-centred parametrisation
                        and does not in the guide
    ``full-rank``       a correlation is missed by a guide that      a full-rank guide
                        has none
    ``flow``            skewness or a tail is missed, or another     a flow
                        correlation, and none of the above
    ``draws``           too few draws to tell                        more draws
    ``nuts``            none of these                                NUTS
    ==================  ===========================================  ==========================================

    ``guides`` are the names of automatic guides that there are: no other is suggested by name.
    """
    if judgement.verdict.level == "trusted":
        return ()
    found = [made for rule in _RULES if (made := rule(judgement, tuple(guides))) is not None]
    kinds = {made.kind for made in found}
    if kinds & {"parametrisation", "full-rank", "modes"}:  # a flow is for what these do not explain
        found = [made for made in found if made.kind != "flow"]
    return tuple(found[:_MOST]) or (_nuts(judgement),)


def _steps(judgement: Judgement, guides: tuple[str, ...]) -> Suggestion | None:
    convergence = judgement.convergence
    if convergence is None or convergence.converged:
        return None
    return Suggestion("steps", "fit longer (more steps)", convergence.message)


def _reweight(judgement: Judgement, guides: tuple[str, ...]) -> Suggestion | None:
    if judgement.verdict.level != "reweight" or judgement.weights is None:
        return None
    what = "use the reweighted draws (fit.corrected(), or pv.reweight of the guide's draws)"
    return Suggestion("reweight", what, f"{khat(judgement.weights)}, below {MAX_KHAT}, and they meet the line")


def _modes(judgement: Judgement, guides: tuple[str, ...]) -> Suggestion | None:
    modes = [region for region in judgement.missing if region.kind == "mode"]
    if not modes:
        return None
    mixture = _first(_MIXTURES, guides)
    what = (
        f"{f'the guide {mixture}, or ' * bool(mixture)}an objective whose guide covers all mass (cubo, tail-adaptive "
    )
    what += "or wake-wake, with 64 particles)"
    return Suggestion("modes", what, modes[0].sentence())


def _parametrisation(judgement: Judgement, guides: tuple[str, ...]) -> Suggestion | None:
    found = _found(judgement, "widening")
    if found is None or abs(np.log(found.baseline)) < np.log(_FUNNEL):
        return None
    what = (
        f"write {_base(found.parameters[0])} non-centred, as location + scale * standard normal "
        "(pyro.infer.reparam.LocScaleReparam(0) does it)"
    )
    return Suggestion("parametrisation", what, found.sentence())


def _full_rank(judgement: Judgement, guides: tuple[str, ...]) -> Suggestion | None:
    found = _found(judgement, "correlation")
    if found is None or abs(found.guide) > _INDEPENDENT or abs(found.baseline) < abs(found.guide):
        return None
    return Suggestion("full-rank", "a guide with correlations (auto_multivariate_normal)", found.sentence())


def _flow(judgement: Judgement, guides: tuple[str, ...]) -> Suggestion | None:
    found = next(
        (
            found
            for kind in ("skewness", "upper tail", "lower tail", "correlation")
            if (found := _found(judgement, kind))
        ),
        None,
    )
    if found is None or judgement.verdict.level == "reweight":
        return None
    name = _first(_FLOWS, guides)
    return Suggestion("flow", f"a flow{f' ({name})' * bool(name)}, which can bend", found.sentence())


def _draws(judgement: Judgement, guides: tuple[str, ...]) -> Suggestion | None:
    if judgement.verdict.level != "none" or not judgement.health.counts:
        return None
    return Suggestion("draws", "take more draws", "the Monte-Carlo errors are too large to tell")


def _nuts(judgement: Judgement) -> Suggestion:
    if judgement.health.counts and judgement.verdict.evidence == "NUTS":
        return Suggestion("nuts", "use the draws of NUTS", "it has been run, and counts")
    if judgement.verdict.evidence == "exact draws":
        return Suggestion("nuts", "use the exact draws", "there are some")
    return Suggestion(
        "nuts", "run NUTS (baseline='nuts'), for longer or in other coordinates", "weights say no more of this guide"
    )


_RULES: tuple[Callable[[Judgement, tuple[str, ...]], Suggestion | None], ...] = (
    _steps,
    _reweight,
    _modes,
    _parametrisation,
    _full_rank,
    _flow,
    _draws,
)


def _found(judgement: Judgement, kind: str) -> Symptom | None:
    return next((finding for finding in judgement.findings if finding.kind == kind), None)


def _first(families: Sequence[str], guides: Sequence[str]) -> str:
    """The first guide whose name has one of these words in it, or nothing."""
    return next((name for family in families for name in guides if family in name), "")


def _base(label: str) -> str:
    """The site that a scalar parameter is part of."""
    return label.partition("[")[0]
