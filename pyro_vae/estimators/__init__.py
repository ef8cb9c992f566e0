"""Gradient estimators: one file each, torch only. ``elbo`` hands them particles; they hand back an ``Estimate``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.estimators.analytic_kl import AnalyticKL as AnalyticKL
    from pyro_vae.estimators.annealing import Annealing as Annealing
    from pyro_vae.estimators.annealing import CyclicalAnnealing as CyclicalAnnealing
    from pyro_vae.estimators.annealing import LinearAnnealing as LinearAnnealing
    from pyro_vae.estimators.arm import ARM as ARM
    from pyro_vae.estimators.base import Claims as Claims
    from pyro_vae.estimators.base import Estimate as Estimate
    from pyro_vae.estimators.base import Estimator as Estimator
    from pyro_vae.estimators.baselines import MovingAverage as MovingAverage
    from pyro_vae.estimators.baselines import Network as Network
    from pyro_vae.estimators.closed_form_entropy import ClosedFormEntropy as ClosedFormEntropy
    from pyro_vae.estimators.cubo import CUBO as CUBO
    from pyro_vae.estimators.disarm import DisARM as DisARM
    from pyro_vae.estimators.dreg import DReG as DReG
    from pyro_vae.estimators.iwae import IWAE as IWAE
    from pyro_vae.estimators.measure_valued import MeasureValued as MeasureValued
    from pyro_vae.estimators.names import by_name as by_name
    from pyro_vae.estimators.names import name_of as name_of
    from pyro_vae.estimators.rebar import REBAR as REBAR
    from pyro_vae.estimators.relax import RELAX as RELAX
    from pyro_vae.estimators.renyi import Renyi as Renyi
    from pyro_vae.estimators.reparameterized import Reparameterized as Reparameterized
    from pyro_vae.estimators.score_function import ScoreFunction as ScoreFunction
    from pyro_vae.estimators.sticking_the_landing import StickingTheLanding as StickingTheLanding
    from pyro_vae.estimators.tail_adaptive import TailAdaptive as TailAdaptive
    from pyro_vae.estimators.vimco import VIMCO as VIMCO
    from pyro_vae.estimators.wake_sleep import WakeSleep as WakeSleep
    from pyro_vae.estimators.wake_wake import WakeWake as WakeWake

_HOME = {
    "ARM": "arm",
    "AnalyticKL": "analytic_kl",
    "Annealing": "annealing",
    "CUBO": "cubo",
    "Claims": "base",
    "ClosedFormEntropy": "closed_form_entropy",
    "CyclicalAnnealing": "annealing",
    "DReG": "dreg",
    "DisARM": "disarm",
    "Estimate": "base",
    "Estimator": "base",
    "IWAE": "iwae",
    "MeasureValued": "measure_valued",
    "LinearAnnealing": "annealing",
    "MovingAverage": "baselines",
    "Network": "baselines",
    "REBAR": "rebar",
    "RELAX": "relax",
    "Renyi": "renyi",
    "Reparameterized": "reparameterized",
    "ScoreFunction": "score_function",
    "StickingTheLanding": "sticking_the_landing",
    "TailAdaptive": "tail_adaptive",
    "VIMCO": "vimco",
    "WakeSleep": "wake_sleep",
    "WakeWake": "wake_wake",
    "by_name": "names",
    "name_of": "names",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
