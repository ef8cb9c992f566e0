"""Which derivation gives which program's reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyro_vae.catalogue import load_program
from tests.models.oracles import densities, digits, eight_schools, made_up, regressions


def arrays(name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Design matrix and outcomes in double precision, and the labels of the columns."""
    program = load_program(name)
    return program.data["x"].double().numpy(), program.data["y"].double().numpy(), list(program.coords["column"])


def linear() -> dict[str, Any]:
    x, y, labels = arrays("linear_regression")
    return regressions.linear(x, y, 0.4, labels)


def logistic() -> dict[str, Any]:
    return regressions.logistic(*arrays("logistic_regression"))


MADE_UP = (
    made_up.categorical_vae,
    made_up.gaussian_mixture_vae,
    made_up.per_datapoint,
    made_up.sentence_vae,
    made_up.sentiment_vae,
    made_up.sigmoid_belief_network,
    made_up.stick_breaking_vae,
    made_up.topic_model,
)

DERIVE: dict[str, Callable[[], dict[str, Any]]] = {
    "eight_schools": lambda: eight_schools.reference("eight_schools"),
    "eight_schools_noncentered": lambda: eight_schools.reference("eight_schools_noncentered"),
    "linear_regression": linear,
    "logistic_regression": logistic,
    "funnel": densities.funnel,
    "bimodal": densities.bimodal,
    "linear_vae": digits.linear_vae,
    "vae_digits": digits.vae_digits,
    **{derivation.__name__: derivation for derivation in MADE_UP},
}
