"""Variational inference on Pyro: fit a model, sample it with NUTS, and be told whether the fit can be trusted.

>>> import pyro_vae as pv
>>> elbo = pv.TraceELBO(pv.Reparameterized(), num_particles=16)

This module is the whole public list. Nothing is imported until it is used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae import nets as nets
    from pyro_vae import vae as vae
    from pyro_vae.catalogue import load_program as load_program
    from pyro_vae.datasets import load_data as load_data
    from pyro_vae.diagnostics import Evidence as Evidence
    from pyro_vae.diagnostics import expectations as expectations
    from pyro_vae.diagnostics import reweight as reweight
    from pyro_vae.elbo import TraceELBO as TraceELBO
    from pyro_vae.errors import DataError as DataError
    from pyro_vae.errors import DivergedError as DivergedError
    from pyro_vae.errors import EstimatorError as EstimatorError
    from pyro_vae.errors import ModelError as ModelError
    from pyro_vae.errors import OptionError as OptionError
    from pyro_vae.errors import OutputError as OutputError
    from pyro_vae.errors import ProgramError as ProgramError
    from pyro_vae.errors import PyroVaeError as PyroVaeError
    from pyro_vae.errors import SamplerError as SamplerError
    from pyro_vae.estimators import ARM as ARM
    from pyro_vae.estimators import CUBO as CUBO
    from pyro_vae.estimators import IWAE as IWAE
    from pyro_vae.estimators import REBAR as REBAR
    from pyro_vae.estimators import RELAX as RELAX
    from pyro_vae.estimators import VIMCO as VIMCO
    from pyro_vae.estimators import AnalyticKL as AnalyticKL
    from pyro_vae.estimators import ClosedFormEntropy as ClosedFormEntropy
    from pyro_vae.estimators import CyclicalAnnealing as CyclicalAnnealing
    from pyro_vae.estimators import DisARM as DisARM
    from pyro_vae.estimators import DReG as DReG
    from pyro_vae.estimators import LinearAnnealing as LinearAnnealing
    from pyro_vae.estimators import MeasureValued as MeasureValued
    from pyro_vae.estimators import MovingAverage as MovingAverage
    from pyro_vae.estimators import Network as Network
    from pyro_vae.estimators import Renyi as Renyi
    from pyro_vae.estimators import Reparameterized as Reparameterized
    from pyro_vae.estimators import ScoreFunction as ScoreFunction
    from pyro_vae.estimators import StickingTheLanding as StickingTheLanding
    from pyro_vae.estimators import TailAdaptive as TailAdaptive
    from pyro_vae.estimators import WakeSleep as WakeSleep
    from pyro_vae.estimators import WakeWake as WakeWake
    from pyro_vae.mcmc import nuts as nuts
    from pyro_vae.particles import draw as draw
    from pyro_vae.posterior import sample_posterior as sample_posterior
    from pyro_vae.studies import Calibration as Calibration
    from pyro_vae.studies import Check as Check
    from pyro_vae.studies import Comparison as Comparison
    from pyro_vae.studies import Examination as Examination
    from pyro_vae.studies import GradientStudy as GradientStudy
    from pyro_vae.studies import Run as Run
    from pyro_vae.studies import calibrate as calibrate
    from pyro_vae.studies import check as check
    from pyro_vae.studies import compare as compare
    from pyro_vae.studies import examine as examine
    from pyro_vae.studies import gradients as gradients
    from pyro_vae.studies import log_evidence as log_evidence
    from pyro_vae.studies import open_run as open_run
    from pyro_vae.studies import resume_run as resume_run
    from pyro_vae.studies import train_run as train_run
    from pyro_vae.training import Fit as Fit
    from pyro_vae.training import Validation as Validation
    from pyro_vae.training import fit as fit
    from pyro_vae.training import load_fit as load_fit
    from pyro_vae.vae import VAE as VAE

__version__ = "0.1.0"

_HOME = {
    "ARM": "estimators",
    "AnalyticKL": "estimators",
    "CUBO": "estimators",
    "Calibration": "studies",
    "Check": "studies",
    "ClosedFormEntropy": "estimators",
    "Comparison": "studies",
    "CyclicalAnnealing": "estimators",
    "DReG": "estimators",
    "DataError": "errors",
    "DisARM": "estimators",
    "DivergedError": "errors",
    "EstimatorError": "errors",
    "Evidence": "diagnostics",
    "Examination": "studies",
    "Fit": "training",
    "GradientStudy": "studies",
    "IWAE": "estimators",
    "LinearAnnealing": "estimators",
    "MeasureValued": "estimators",
    "ModelError": "errors",
    "MovingAverage": "estimators",
    "Network": "estimators",
    "OptionError": "errors",
    "OutputError": "errors",
    "ProgramError": "errors",
    "PyroVaeError": "errors",
    "REBAR": "estimators",
    "RELAX": "estimators",
    "Renyi": "estimators",
    "Reparameterized": "estimators",
    "Run": "studies",
    "SamplerError": "errors",
    "ScoreFunction": "estimators",
    "StickingTheLanding": "estimators",
    "TailAdaptive": "estimators",
    "TraceELBO": "elbo",
    "VAE": "vae",
    "VIMCO": "estimators",
    "Validation": "training",
    "WakeSleep": "estimators",
    "WakeWake": "estimators",
    "calibrate": "studies",
    "check": "studies",
    "compare": "studies",
    "draw": "particles",
    "examine": "studies",
    "expectations": "diagnostics",
    "fit": "training",
    "gradients": "studies",
    "load_data": "datasets",
    "load_fit": "training",
    "load_program": "catalogue",
    "log_evidence": "studies",
    "nuts": "mcmc",
    "open_run": "studies",
    "resume_run": "studies",
    "reweight": "diagnostics",
    "sample_posterior": "posterior",
    "train_run": "studies",
}
_PACKAGES = ("nets", "vae")  # what has many names of its own: pv.nets.MLP
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME and name not in _PACKAGES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name in _PACKAGES:
        return import_module(f"{__name__}.{name}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_PACKAGES])
