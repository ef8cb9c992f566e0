"""The two programs without data: the funnel in closed form, the two modes by quadrature in one dimension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import integrate, optimize


def funnel(size: int = 9) -> dict[str, Any]:
    """The contents of ``models/reference/funnel.json``.

    With q(v) = N(m, s^2) and x of the best variance e^{m - s^2/2}, the bound is
    -ln 3 + (1 + ln s^2)/2 - (m^2 + s^2)/18 - size s^2/4: best at m = 0, s^2 = 1 / (1/9 + size/2).
    """
    variance = 1 / (1 / 9 + size / 2)
    bound = -math.log(3) + (1 + math.log(variance)) / 2 - variance / 18 - size * variance / 4
    return {
        "program": "funnel",
        "log_evidence": {"value": 0.0, "error": 0.0, "source": "the density is normalised"},
        "best_bound": {
            "auto_normal": {"value": bound, "source": "closed form: v has variance 1 / (1/9 + 9/2), x_i e^(-that/2)"}
        },
        "parameters": {
            "v": {"mean": 0.0, "sd": 3.0},
            **{f"x[{i + 1}]": {"mean": 0.0, "sd": math.exp(9 / 4)} for i in range(size)},
        },
        "parameters_source": "by hand: var x = E e^v = e^(9/2). No finite sample shows the sd of x well",
    }


def bimodal_bound(mode: float = 4.0) -> float:
    """The best bound of one normal on N(-mode, 1)/2 + N(mode, 1)/2, by quadrature and Nelder-Mead."""

    def log_p(x: float) -> float:
        return float(np.logaddexp(-0.5 * (x - mode) ** 2, -0.5 * (x + mode) ** 2)) - math.log(
            2 * math.sqrt(2 * math.pi)
        )

    def negative_bound(at: np.ndarray) -> float:
        mean, sd = at[0], math.exp(at[1])
        density = lambda x: math.exp(-0.5 * ((x - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))  # noqa: E731
        expected, _ = integrate.quad(
            lambda x: density(x) * log_p(x), mean - 12 * sd, mean + 12 * sd, epsabs=1e-12, limit=500
        )
        return -(expected + math.log(sd) + 0.5 * math.log(2 * math.pi * math.e))

    return -float(optimize.minimize(negative_bound, [mode - 0.1, 0.1], method="Nelder-Mead", tol=1e-10).fun)


def bimodal(mode: float = 4.0) -> dict[str, Any]:
    """The contents of ``models/reference/bimodal.json``."""
    source = "the best normal lies on one mode, ln 2 below the evidence but for 1e-4: 1-D quadrature and Nelder-Mead"
    return {
        "program": "bimodal",
        "log_evidence": {"value": 0.0, "error": 0.0, "source": "the density is normalised"},
        "best_bound": {
            guide: {"value": bimodal_bound(mode), "source": source}
            for guide in ("auto_normal", "auto_multivariate_normal")
        },
        "parameters": {"x": {"mean": 0.0, "sd": math.sqrt(1 + mode**2)}},
        "parameters_source": "by hand: an equal mixture of N(-4, 1) and N(4, 1)",
    }
