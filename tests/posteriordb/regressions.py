"""The regressions of posteriordb once more, row by row, with SciPy alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.posteriordb.cases import RNG, Case, Data, N, Point, bits, half_cauchy, normals, positive

EARNINGS = {
    "N": N,
    "earn": RNG.uniform(200, 1000, N).tolist(),
    "height": RNG.uniform(58, 77, N).tolist(),
    "male": bits(),
}
KIDS = {
    "N": N,
    "kid_score": RNG.uniform(40, 140, N).tolist(),
    "mom_hs": bits(),
    "mom_iq": RNG.uniform(70, 130, N).tolist(),
    "mom_work": RNG.integers(1, 5, N).tolist(),
}
BUSHES = {name: positive() for name in ("weight", "diam1", "diam2", "canopy_height", "total_height", "density")}
BUSHES |= {"N": N, "group": bits()}
VOTERS = {
    "N": N,
    "partyid7": RNG.integers(1, 8, N).tolist(),
    "real_ideo": RNG.integers(1, 8, N).tolist(),
    "race_adj": RNG.choice([0, 0.5, 1], N).tolist(),
    "educ1": RNG.integers(1, 5, N).tolist(),
    "gender": bits(),
    "income": RNG.integers(1, 6, N).tolist(),
    "age_discrete": RNG.integers(1, 5, N).tolist(),
}


def _log(values: Any) -> np.ndarray:
    return np.log(np.asarray(values, dtype=float))


def regression(
    size: int, data: Data, outcome: Callable, mean: Callable, prior: Callable[[Point], float] = lambda point: 0.0
) -> Case:
    """A regression with ``size`` coefficients: ``outcome(data)``, ``mean(beta, {column: array})``, a prior or none."""

    def point(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"beta": rng.normal(size=size), "sigma": np.asarray(rng.uniform(0.3, 4.0))}

    def log_density(at: Point, given: Data) -> float:
        columns = {name: np.asarray(value, dtype=float) for name, value in given.items()}
        return prior(at) + normals(outcome(columns), mean(at["beta"], columns), at["sigma"])

    return Case(data, point, log_density)


def _earnings(size: int, outcome: Callable, mean: Callable) -> Case:
    return regression(size, EARNINGS, lambda d: outcome(d["earn"]), mean)


def _standard(values: np.ndarray, sds: float = 1) -> np.ndarray:
    return (values - values.mean()) / (sds * values.std(ddof=1))


def _product(b: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return b[0] + b[1] * first + b[2] * second + b[3] * first * second


def _bushes(size: int, mean: Callable, outcome: Callable = np.log) -> Case:
    return regression(size, BUSHES, lambda d: outcome(d["weight"]), mean)


def _kids(size: int, mean: Callable, prior: Callable = half_cauchy) -> Case:
    return regression(size, KIDS, lambda d: d["kid_score"], mean, prior)


def _flat(at: Point) -> float:
    return 0.0


def _volume(d: Mapping[str, np.ndarray]) -> np.ndarray:
    return d["diam1"] * d["diam2"] * d["canopy_height"]


def _vash(b: np.ndarray, d: Mapping[str, np.ndarray]) -> np.ndarray:
    shape, area = d["diam1"] / d["diam2"], d["diam1"] * d["diam2"]
    return b[0] + b[1] * _log(_volume(d)) + b[2] * _log(area) + b[3] * _log(shape) + b[4] * _log(d["total_height"])


def _nes(b: np.ndarray, d: Mapping[str, np.ndarray]) -> np.ndarray:
    ages = sum(b[level + 1] * (d["age_discrete"] == level) for level in (2, 3, 4))
    return (
        b[0] + b[1] * d["real_ideo"] + b[2] * d["race_adj"] + ages + b[6] * d["educ1"] + b[7] * d["gender"]
        + b[8] * d["income"]
    )  # fmt: skip


def _logmesquite(b: np.ndarray, d: Mapping[str, np.ndarray]) -> np.ndarray:
    names = ("diam1", "diam2", "canopy_height", "total_height", "density")
    return b[0] + sum(b[i + 1] * _log(d[name]) for i, name in enumerate(names)) + b[6] * d["group"]


def _mesquite(b: np.ndarray, d: Mapping[str, np.ndarray]) -> np.ndarray:
    names = ("diam1", "diam2", "canopy_height", "total_height", "density", "group")
    return b[0] + sum(b[i + 1] * d[name] for i, name in enumerate(names))


REGRESSIONS = {
    "earn_height": _earnings(2, np.asarray, lambda b, d: b[0] + b[1] * d["height"]),
    "logearn_height": _earnings(2, np.log, lambda b, d: b[0] + b[1] * d["height"]),
    "log10earn_height": _earnings(2, np.log10, lambda b, d: b[0] + b[1] * d["height"]),
    "logearn_height_male": _earnings(3, np.log, lambda b, d: b[0] + b[1] * d["height"] + b[2] * d["male"]),
    "logearn_logheight_male": _earnings(3, np.log, lambda b, d: b[0] + b[1] * np.log(d["height"]) + b[2] * d["male"]),
    "logearn_interaction": _earnings(4, np.log, lambda b, d: _product(b, d["height"], d["male"])),
    "logearn_interaction_z": _earnings(4, np.log, lambda b, d: _product(b, _standard(d["height"]), d["male"])),
    "kidscore_momhs": _kids(2, lambda b, d: b[0] + b[1] * d["mom_hs"]),
    "kidscore_momiq": _kids(2, lambda b, d: b[0] + b[1] * d["mom_iq"]),
    "kidscore_momhsiq": _kids(3, lambda b, d: b[0] + b[1] * d["mom_hs"] + b[2] * d["mom_iq"]),
    "kidscore_interaction": _kids(4, lambda b, d: _product(b, d["mom_hs"], d["mom_iq"])),
    "kidscore_interaction_c": _kids(
        4, lambda b, d: _product(b, d["mom_hs"] - d["mom_hs"].mean(), d["mom_iq"] - d["mom_iq"].mean()), _flat
    ),
    "kidscore_interaction_c2": _kids(4, lambda b, d: _product(b, d["mom_hs"] - 0.5, d["mom_iq"] - 100), _flat),
    "kidscore_interaction_z": _kids(
        4, lambda b, d: _product(b, _standard(d["mom_hs"], 2), _standard(d["mom_iq"], 2)), _flat
    ),
    "kidscore_mom_work": _kids(4, lambda b, d: b[0] + sum(b[k - 1] * (d["mom_work"] == k) for k in (2, 3, 4)), _flat),
    "mesquite": _bushes(7, _mesquite, np.asarray),
    "logmesquite": _bushes(7, _logmesquite),
    "logmesquite_logvolume": _bushes(2, lambda b, d: b[0] + b[1] * np.log(_volume(d))),
    "logmesquite_logva": _bushes(
        4, lambda b, d: b[0] + b[1] * _log(_volume(d)) + b[2] * _log(d["diam1"] * d["diam2"]) + b[3] * d["group"]
    ),
    "logmesquite_logvash": _bushes(6, lambda b, d: _vash(b, d) + b[5] * d["group"]),
    "logmesquite_logvas": _bushes(7, lambda b, d: _vash(b, d) + b[5] * np.log(d["density"]) + b[6] * d["group"]),
    "nes": regression(9, VOTERS, lambda d: d["partyid7"], _nes),
    "blr": regression(
        5,
        {"N": N, "D": 5, "X": RNG.normal(size=(N, 5)).tolist(), "y": RNG.normal(size=N).tolist()},
        lambda d: d["y"],
        lambda b, d: d["X"] @ b,
        lambda at: normals(at["beta"], 0, 10) + normals(at["sigma"], 0, 10),
    ),
}
