"""Estimators by the names that people type on the command line."""

from __future__ import annotations

import dataclasses
import difflib

from pyro_vae.errors import OptionError
from pyro_vae.estimators.analytic_kl import AnalyticKL
from pyro_vae.estimators.arm import ARM
from pyro_vae.estimators.base import Estimator
from pyro_vae.estimators.closed_form_entropy import ClosedFormEntropy
from pyro_vae.estimators.cubo import CUBO
from pyro_vae.estimators.disarm import DisARM
from pyro_vae.estimators.dreg import DReG
from pyro_vae.estimators.iwae import IWAE
from pyro_vae.estimators.measure_valued import MeasureValued
from pyro_vae.estimators.rebar import REBAR
from pyro_vae.estimators.relax import RELAX
from pyro_vae.estimators.renyi import Renyi
from pyro_vae.estimators.reparameterized import Reparameterized
from pyro_vae.estimators.score_function import ScoreFunction
from pyro_vae.estimators.sticking_the_landing import StickingTheLanding
from pyro_vae.estimators.tail_adaptive import TailAdaptive
from pyro_vae.estimators.vimco import VIMCO
from pyro_vae.estimators.wake_sleep import WakeSleep
from pyro_vae.estimators.wake_wake import WakeWake

BY_NAME: dict[str, Estimator] = {
    "reparameterized": Reparameterized(),
    "analytic-kl": AnalyticKL(),
    "score-function": ScoreFunction(),
    "sticking-the-landing": StickingTheLanding(),
    "score-function:leave-one-out": ScoreFunction(baseline="leave-one-out"),
    "score-function:moving-average": ScoreFunction(baseline="moving-average"),
    "score-function:optimal": ScoreFunction(baseline="optimal"),
    "iwae": IWAE(),
    "dreg": DReG(),
    "renyi": Renyi(),
    "vimco": VIMCO(),
    "arm": ARM(),
    "disarm": DisARM(),
    "rebar": REBAR(),
    "relax": RELAX(),
    "relax:free": RELAX(relaxed=False),
    "measure-valued": MeasureValued(),
    "closed-form-entropy": ClosedFormEntropy(),
    "tail-adaptive": TailAdaptive(),
    "cubo": CUBO(),
    "wake-wake": WakeWake(),
    "wake-sleep": WakeSleep(),
}


def by_name(name: str | Estimator) -> Estimator:
    """The estimator of that name; an estimator passes through. Raises :class:`~pyro_vae.errors.OptionError` with the
    nearest names.

    >>> by_name("analytic-kl")
    AnalyticKL()
    """
    if isinstance(name, Estimator):
        return name
    key = str(name).strip().lower().replace("_", "-")
    if key in BY_NAME:
        return BY_NAME[key]
    begun = [known for known in BY_NAME if key and known.startswith(key)]
    near = begun or difflib.get_close_matches(key, BY_NAME, 3) or sorted(BY_NAME)
    raise OptionError(
        f"estimator {name!r} is not known: expected one of {', '.join(sorted(BY_NAME))}. Nearest: {', '.join(near)}."
    )


def name_of(estimator: Estimator) -> str:
    """The name that :func:`by_name` knows the estimator by; else its class with what is not the default.

    >>> name_of(DReG()), name_of(Renyi(alpha=0.3))
    ('dreg', 'Renyi(alpha=0.3)')
    """
    for name, known in BY_NAME.items():
        if known == estimator:
            return name
    fields = dataclasses.fields(estimator) if dataclasses.is_dataclass(estimator) else ()
    said = [(field, getattr(estimator, field.name)) for field in fields if field.repr]
    changed = ", ".join(f"{field.name}={value!r}" for field, value in said if value != field.default)
    return f"{type(estimator).__name__}({changed})"
