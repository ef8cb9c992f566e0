"""What a person asks in one call, put together from the layers below: ``compare``, ``check``, ``examine``, ..."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.studies.calibration.calibrating import calibrate as calibrate
    from pyro_vae.studies.calibration.interruption import CalibrationInterrupted as CalibrationInterrupted
    from pyro_vae.studies.calibration.result import Calibration as Calibration
    from pyro_vae.studies.checking import Check as Check
    from pyro_vae.studies.checking import Finding as Finding
    from pyro_vae.studies.checking import check as check
    from pyro_vae.studies.comparing import compare as compare
    from pyro_vae.studies.comparison import Comparison as Comparison
    from pyro_vae.studies.evidence import log_evidence as log_evidence
    from pyro_vae.studies.examination import Examination as Examination
    from pyro_vae.studies.examining import examine as examine
    from pyro_vae.studies.gradient_study import GradientStudy as GradientStudy
    from pyro_vae.studies.interruption import ComparisonInterrupted as ComparisonInterrupted
    from pyro_vae.studies.measuring import gradients as gradients
    from pyro_vae.studies.run_training import resume_run as resume_run
    from pyro_vae.studies.run_training import train_run as train_run
    from pyro_vae.studies.runs import Run as Run
    from pyro_vae.studies.runs import open_run as open_run

_HOME = {
    "Calibration": "calibration.result",
    "CalibrationInterrupted": "calibration.interruption",
    "Check": "checking",
    "Comparison": "comparison",
    "ComparisonInterrupted": "interruption",
    "Examination": "examination",
    "Finding": "checking",
    "GradientStudy": "gradient_study",
    "Run": "runs",
    "calibrate": "calibration.calibrating",
    "check": "checking",
    "compare": "comparing",
    "examine": "examining",
    "gradients": "measuring",
    "log_evidence": "evidence",
    "open_run": "runs",
    "resume_run": "run_training",
    "train_run": "run_training",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
