"""Every program's posterior once more: its density from the mathematics of posteriordb's Stan model, with SciPy alone.

Data are made up in the shape of the JSON files. A density takes one point and the data as they are in the file.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from tests.posteriordb.cases import RNG, Case, Data, N, Point, half_cauchy, normals, positive
from tests.posteriordb.regressions import REGRESSIONS

SERIES = RNG.normal(size=N).tolist()
SCHOOLS = {"J": 8, "y": [28, 8, -3, 7, -1, 1, 18, 12], "sigma": [15, 10, 16, 11, 9, 11, 10, 18]}


def _arK(at: Point, data: Data) -> float:
    y, order = np.array(data["y"]), data["K"]
    prior = normals(at["alpha"], 0, 10) + normals(at["beta"], 0, 10) + half_cauchy(at)
    for t in range(order, len(y)):
        mean = at["alpha"] + sum(at["beta"][k] * y[t - 1 - k] for k in range(order))
        prior += normals(y[t], mean, at["sigma"])
    return prior


def _arma(at: Point, data: Data) -> float:
    y, mu, phi, theta, sigma = data["y"], at["mu"], at["phi"], at["theta"], at["sigma"]
    errors = [y[0] - (mu + phi * mu)]
    for t in range(1, len(y)):
        errors.append(y[t] - (mu + phi * y[t - 1] + theta * errors[-1]))
    prior = normals(mu, 0, 10) + normals([phi, theta], 0, 2) + half_cauchy(at)
    return prior + normals(errors, 0, sigma)


def _garch(at: Point, data: Data) -> float:
    y, (alpha1, beta1, _) = data["y"], at["weights"]
    sigma = [data["sigma1"]]
    for t in range(1, len(y)):
        sigma.append(np.sqrt(at["alpha0"] + alpha1 * (y[t - 1] - at["mu"]) ** 2 + beta1 * sigma[-1] ** 2))
    return normals(y, at["mu"], sigma)


def _eight(at: Point, data: Data, theta: np.ndarray) -> float:
    prior = normals(at["mu"], 0, 5) + float(stats.cauchy.logpdf(at["tau"], 0, 5))
    return prior + normals(data["y"], theta, data["sigma"])


def _centered(at: Point, data: Data) -> float:
    return _eight(at, data, at["theta"]) + normals(at["theta"], at["mu"], at["tau"])


def _noncentered(at: Point, data: Data) -> float:
    theta = at["mu"] + at["tau"] * at["theta_trans"]
    return _eight(at, data, theta) + normals(at["theta_trans"], 0, 1)


def _kilpisjarvi(at: Point, data: Data) -> float:
    prior = normals(at["alpha"], data["pmualpha"], data["psalpha"])
    prior += normals(at["beta"], data["pmubeta"], data["psbeta"])
    return prior + normals(data["y"], at["alpha"] + at["beta"] * np.array(data["x"]), at["sigma"])


def _squared_exponential(at: Point, data: Data) -> np.ndarray:
    x = np.array(data["x"], dtype=float)
    return at["alpha"] ** 2 * np.exp(-((x[:, None] - x) ** 2) / (2 * at["rho"] ** 2))


def _process_prior(at: Point) -> float:
    return float(stats.gamma.logpdf(at["rho"], 25, scale=1 / 4)) + normals(at["alpha"], 0, 2)


def _gp_regr(at: Point, data: Data) -> float:
    covariance = _squared_exponential(at, data) + at["sigma"] * np.eye(data["N"])
    seen = stats.multivariate_normal(np.zeros(data["N"]), covariance).logpdf(data["y"])
    return _process_prior(at) + normals(at["sigma"], 0, 1) + float(seen)


def _gp_pois(at: Point, data: Data) -> float:
    factor = np.linalg.cholesky(_squared_exponential(at, data) + 1e-10 * np.eye(data["N"]))
    counted = stats.poisson.logpmf(data["k"], np.exp(factor @ at["f_tilde"])).sum()
    return _process_prior(at) + normals(at["f_tilde"], 0, 1) + float(counted)


def _forward(theta: np.ndarray, emission: np.ndarray) -> float:
    """Stan's loop: ``theta`` ``[K, K]``, ``emission`` ``[N, K]`` in logs."""
    gamma = emission[0]
    for seen in emission[1:]:
        gamma = np.array([logsumexp(gamma + np.log(theta[:, k]) + seen[k]) for k in range(len(seen))])
    return float(logsumexp(gamma))


def _rows(at: Point) -> np.ndarray:
    return np.stack([at["theta1"], at["theta2"]])


def _hmm_example(at: Point, data: Data) -> float:
    emission = stats.norm.logpdf(np.array(data["y"])[:, None], at["mu"], 1)
    return normals(at["mu"], [3, 10], 1) + _forward(_rows(at), emission)


def _drive(at: Point, data: Data, normal: bool) -> float:
    u, v = (np.array(data[name])[:, None] for name in ("u", "v"))
    prior = sum(float(stats.dirichlet.logpdf(row, alpha)) for row, alpha in zip(_rows(at), data["alpha"], strict=True))
    prior += normals(at["phi"], [0, 3], 1) + normals(at["lambda"], [0, 3], 1)
    if normal:
        emission = stats.norm.logpdf(u, at["phi"], data["tau"]) + stats.norm.logpdf(v, at["lambda"], data["rho"])
    else:
        emission = stats.expon.logpdf(u, scale=1 / at["phi"]) + stats.expon.logpdf(v, scale=1 / at["lambda"])
    return prior + _forward(_rows(at), emission)


def _mixture(at: Point, data: Data) -> float:
    first, second = (stats.norm.pdf(data["y"], at["mu"][k], at["sigma"][k]) for k in (0, 1))
    prior = normals(at["sigma"], 0, 2) + normals(at["mu"], 0, 2) + float(stats.beta.logpdf(at["theta"], 5, 5))
    return prior + float(np.log(at["theta"] * first + (1 - at["theta"]) * second).sum())


def _diamonds(at: Point, data: Data) -> float:
    x = np.array(data["X"])[:, 1:]
    prior = normals(at["b"], 0, 1) + float(
        stats.t.logpdf(at["Intercept"], 3, 8, 10) + stats.t.logpdf(at["sigma"], 3, 0, 10)
    )
    return prior + normals(data["Y"], at["Intercept"] + (x - x.mean(0)) @ at["b"], at["sigma"])


def points(**kinds: str | tuple[str, int]) -> Callable[[np.random.Generator], dict[str, np.ndarray]]:
    """Random points: for each site its kind and how many numbers it has (none: a scalar)."""

    def draw(rng: np.random.Generator) -> dict[str, np.ndarray]:
        made = {}
        for name, kind in kinds.items():
            what, size = (kind, None) if isinstance(kind, str) else kind
            made[name] = np.asarray(_DRAWS[what](rng, size))
        return made

    return draw


_DRAWS: dict[str, Callable] = {
    "real": lambda rng, size: rng.normal(size=size),
    "positive": lambda rng, size: rng.uniform(0.3, 4.0, size),
    "unit": lambda rng, size: rng.uniform(0.1, 0.9, size),
    "simplex": lambda rng, size: rng.dirichlet(np.ones(size)),
    "ordered": lambda rng, size: np.sort(rng.normal(size=size)),
    "positive ordered": lambda rng, size: np.sort(rng.uniform(0.3, 9.0, size)),
}
_CHAIN = {"theta1": ("simplex", 2), "theta2": ("simplex", 2)}
_DRIVE = {"N": N, "K": 2, "alpha": [[4, 2], [2, 5]]}

CASES: dict[str, Case] = REGRESSIONS | {
    "arK": Case({"K": 3, "T": N, "y": SERIES}, points(alpha="real", beta=("real", 3), sigma="positive"), _arK),
    "arma11": Case({"T": N, "y": SERIES}, points(mu="real", phi="real", theta="unit", sigma="positive"), _arma),
    "garch11": Case(
        {"T": N, "y": SERIES, "sigma1": 0.5}, points(mu="real", alpha0="positive", weights=("simplex", 3)), _garch
    ),
    "eight_schools_centered": Case(SCHOOLS, points(mu="real", tau="positive", theta=("real", 8)), _centered),
    "eight_schools_noncentered": Case(
        SCHOOLS, points(mu="real", tau="positive", theta_trans=("real", 8)), _noncentered
    ),
    "kilpisjarvi": Case(
        {
            "N": N,
            "x": list(range(1952, 1952 + N)),
            "y": SERIES,
            "xpred": 2016,
            "pmualpha": 9.3,
            "psalpha": 100,
            "pmubeta": 0,
            "psbeta": 0.033,
        },
        points(alpha="real", beta="real", sigma="positive"),
        _kilpisjarvi,
    ),
    "gp_regr": Case(
        {"N": 11, "x": list(range(-10, 11, 2)), "y": SERIES[:11]},
        points(rho="positive", alpha="positive", sigma="positive"),
        _gp_regr,
    ),
    "gp_pois_regr": Case(
        {"N": 11, "x": list(range(-10, 11, 2)), "k": RNG.poisson(3, 11).tolist()},
        points(rho="positive", alpha="positive", f_tilde=("real", 11)),
        _gp_pois,
    ),
    "hmm_example": Case(
        {"N": N, "K": 2, "y": RNG.uniform(1, 12, N).tolist()},
        points(**_CHAIN, mu=("positive ordered", 2)),
        _hmm_example,
    ),
    "hmm_drive_0": Case(
        {**_DRIVE, "u": positive(), "v": positive()},
        points(**_CHAIN, phi=("positive ordered", 2), **{"lambda": ("positive ordered", 2)}),
        lambda at, data: _drive(at, data, normal=False),
    ),
    "hmm_drive_1": Case(
        {**_DRIVE, "u": SERIES, "v": SERIES[::-1], "tau": 0.1, "rho": 0.2},
        points(**_CHAIN, phi=("ordered", 2), **{"lambda": ("ordered", 2)}),
        lambda at, data: _drive(at, data, normal=True),
    ),
    "low_dim_gauss_mix": Case(
        {"N": N, "y": SERIES}, points(mu=("ordered", 2), sigma=("positive", 2), theta="unit"), _mixture
    ),
    "diamonds": Case(
        {"N": N, "K": 4, "Y": SERIES, "X": np.c_[np.ones(N), RNG.normal(size=(N, 3))].tolist(), "prior_only": 0},
        points(b=("real", 3), Intercept="real", sigma="positive"),
        _diamonds,
    ),
}
