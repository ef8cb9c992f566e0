"""Numbers about draws and weights: how far a guide's draws are from a baseline's, and what to conclude from it.

NumPy, SciPy, xarray, pandas and arviz-stats only. ``judge`` puts everything together for one guide.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.diagnostics.accuracy import parameter_table as parameter_table
    from pyro_vae.diagnostics.aggregated import Distances as Distances
    from pyro_vae.diagnostics.aggregated import Surgery as Surgery
    from pyro_vae.diagnostics.aggregated import code_distances as code_distances
    from pyro_vae.diagnostics.aggregated import elbo_surgery as elbo_surgery
    from pyro_vae.diagnostics.baseline import check_baseline as check_baseline
    from pyro_vae.diagnostics.bounds import ErrorBounds as ErrorBounds
    from pyro_vae.diagnostics.bounds import chi_squared as chi_squared
    from pyro_vae.diagnostics.bounds import error_bounds as error_bounds
    from pyro_vae.diagnostics.bounds import moment_bounds as moment_bounds
    from pyro_vae.diagnostics.by_weights import weights_baseline as weights_baseline
    from pyro_vae.diagnostics.calibration import CalibrationVerdict as CalibrationVerdict
    from pyro_vae.diagnostics.calibration import calibration_table as calibration_table
    from pyro_vae.diagnostics.calibration import judge_calibration as judge_calibration
    from pyro_vae.diagnostics.collapse import Collapse as Collapse
    from pyro_vae.diagnostics.collapse import posterior_collapse as posterior_collapse
    from pyro_vae.diagnostics.collapse import worth_of_code as worth_of_code
    from pyro_vae.diagnostics.convergence import FitConvergence as FitConvergence
    from pyro_vae.diagnostics.convergence import fit_convergence as fit_convergence
    from pyro_vae.diagnostics.correction import expectations as expectations
    from pyro_vae.diagnostics.correction import reweight as reweight
    from pyro_vae.diagnostics.coverage import MissingMass as MissingMass
    from pyro_vae.diagnostics.coverage import missing_mass as missing_mass
    from pyro_vae.diagnostics.evidence import Evidence as Evidence
    from pyro_vae.diagnostics.evidence import bridge_sampling as bridge_sampling
    from pyro_vae.diagnostics.evidence import evidence_from_weights as evidence_from_weights
    from pyro_vae.diagnostics.evidence import iwae_bound as iwae_bound
    from pyro_vae.diagnostics.findings import Symptom as Symptom
    from pyro_vae.diagnostics.gradient_advice import recommendation as recommendation
    from pyro_vae.diagnostics.gradient_noise import EstimatorNoise as EstimatorNoise
    from pyro_vae.diagnostics.importance import ImportanceWeights as ImportanceWeights
    from pyro_vae.diagnostics.importance import pareto_khat as pareto_khat
    from pyro_vae.diagnostics.judgement import Judgement as Judgement
    from pyro_vae.diagnostics.judgement import judge as judge
    from pyro_vae.diagnostics.latents import ActiveUnits as ActiveUnits
    from pyro_vae.diagnostics.latents import active_units as active_units
    from pyro_vae.diagnostics.latents import latent_table as latent_table
    from pyro_vae.diagnostics.plane import Plane as Plane
    from pyro_vae.diagnostics.plane import plane_of as plane_of
    from pyro_vae.diagnostics.ranks import Rank as Rank
    from pyro_vae.diagnostics.ranks import rank_among as rank_among
    from pyro_vae.diagnostics.row_check import RowCheck as RowCheck
    from pyro_vae.diagnostics.suggestions import Suggestion as Suggestion
    from pyro_vae.diagnostics.symmetry import symmetry_test as symmetry_test
    from pyro_vae.diagnostics.uniformity import uniformity_bands as uniformity_bands
    from pyro_vae.diagnostics.uniformity import uniformity_test as uniformity_test
    from pyro_vae.diagnostics.verdict import Verdict as Verdict
    from pyro_vae.diagnostics.verdict import decide as decide

_HOME = {
    "ActiveUnits": "latents",
    "CalibrationVerdict": "calibration",
    "Collapse": "collapse",
    "Distances": "aggregated",
    "ErrorBounds": "bounds",
    "EstimatorNoise": "gradient_noise",
    "Evidence": "evidence",
    "FitConvergence": "convergence",
    "ImportanceWeights": "importance",
    "Judgement": "judgement",
    "MissingMass": "coverage",
    "Plane": "plane",
    "Rank": "ranks",
    "RowCheck": "row_check",
    "Suggestion": "suggestions",
    "Surgery": "aggregated",
    "Symptom": "findings",
    "Verdict": "verdict",
    "active_units": "latents",
    "bridge_sampling": "evidence",
    "calibration_table": "calibration",
    "check_baseline": "baseline",
    "chi_squared": "bounds",
    "code_distances": "aggregated",
    "decide": "verdict",
    "elbo_surgery": "aggregated",
    "error_bounds": "bounds",
    "evidence_from_weights": "evidence",
    "expectations": "correction",
    "fit_convergence": "convergence",
    "iwae_bound": "evidence",
    "judge": "judgement",
    "judge_calibration": "calibration",
    "latent_table": "latents",
    "missing_mass": "coverage",
    "moment_bounds": "bounds",
    "parameter_table": "accuracy",
    "pareto_khat": "importance",
    "plane_of": "plane",
    "posterior_collapse": "collapse",
    "rank_among": "ranks",
    "recommendation": "gradient_advice",
    "reweight": "correction",
    "symmetry_test": "symmetry",
    "uniformity_bands": "uniformity",
    "uniformity_test": "uniformity",
    "weights_baseline": "by_weights",
    "worth_of_code": "collapse",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
