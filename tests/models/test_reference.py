"""The numbers in ``models/reference`` are derived again here, by quadrature and closed forms, and agree."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from pyro_vae.catalogue import catalogue, catalogue_folder
from tests.models.oracles import derive, eight_schools, regressions


def stored(name: str) -> dict[str, Any]:
    return json.loads((catalogue_folder() / "reference" / f"{name}.json").read_text())


def leaves(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """The values with their sources."""
    return [tree] if "value" in tree else [leaf for part in tree.values() for leaf in leaves(part)]


def numbers(tree: Any, path: str = "") -> dict[str, float]:
    """The numbers of a nested dict by their path."""
    if isinstance(tree, dict):
        return {key: value for name, part in tree.items() for key, value in numbers(part, f"{path}/{name}").items()}
    return {path: float(tree)} if isinstance(tree, (int, float)) else {}


@pytest.mark.parametrize("name", list(catalogue()))
def test_every_value_says_where_it_comes_from(name: str) -> None:
    reference = stored(name)
    if "per_row" in reference:  # a VAE: nothing is known of the posterior of one row
        assert all(len(value["source"]) > 10 for value in leaves(reference["per_row"]))
        return
    values = [reference["log_evidence"], *reference["best_bound"].values(), *reference.get("khat", {}).values()]
    assert all(len(value["source"]) > 10 for value in values)
    assert reference["parameters_source"]
    assert all(bound["value"] <= reference["log_evidence"]["value"] for bound in reference["best_bound"].values())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("stick_breaking_vae", "per_datapoint") else ())
        for name in catalogue()
        if name != "logistic_regression"
    ],
)
def test_a_derived_reference_comes_out_the_same_again(name: str) -> None:
    again, known = numbers(derive.DERIVE[name]()), numbers(stored(name))
    assert again.keys() == known.keys()
    for key, value in known.items():
        assert again[key] == pytest.approx(value, rel=1e-6, abs=1e-6), key


@pytest.mark.slow
def test_eight_schools_evidence_and_tau_by_a_second_way() -> None:
    """Two-dimensional quadrature over mu and tau, theta integrated out: independent of the formulas in the oracle."""

    def density(mu: float, tau: float, power: int) -> float:
        log_y = stats.norm.logpdf(eight_schools.Y, mu, np.sqrt(eight_schools.SIGMA**2 + tau**2)).sum()
        return tau**power * np.exp(log_y + stats.norm.logpdf(mu, 0, 5) + stats.halfcauchy.logpdf(tau, scale=5) + 31)

    def total(power: int) -> float:
        grid_tau = np.linspace(np.log(1e-4), np.log(2e3), 241)
        nodes, weights = np.polynomial.legendre.leggauss(40)
        inner = [
            sum(w * density(25 * x, np.exp(u), power) * np.exp(u) * 25 for x, w in zip(nodes, weights, strict=True))
            for u in grid_tau
        ]
        return float(integrate.simpson(inner, x=grid_tau))

    evidence = total(0)
    reference = stored("eight_schools")
    assert np.log(evidence) - 31 == pytest.approx(reference["log_evidence"]["value"], abs=2e-4)
    assert total(1) / evidence == pytest.approx(reference["parameters"]["tau"]["mean"], rel=2e-3)
    # The published figures
    assert reference["log_evidence"]["value"] == pytest.approx(-31.3113, abs=1e-4)
    assert reference["parameters"]["tau"]["mean"] == pytest.approx(3.598, abs=1e-3)
    assert reference["parameters"]["tau"]["sd"] == pytest.approx(3.220, abs=1e-3)
    assert reference["best_bound"]["auto_normal"]["value"] == pytest.approx(-33.4041, abs=1e-4)
    assert stored("eight_schools_noncentered")["best_bound"]["auto_normal"]["value"] == pytest.approx(
        -31.5973, abs=1e-4
    )


def test_logistic_regression_agrees_with_a_smaller_run_of_other_draws() -> None:
    """40 000 draws of another seed. 33 numbers within 5 standard errors: a false alarm in about 2e-5 of seeds."""
    x, y, labels = derive.arrays("logistic_regression")
    found, known = regressions.logistic_by_importance(x, y, 40_000, seed=7), stored("logistic_regression")
    assert found["ess"] > 10_000
    assert abs(found["log_evidence"] - known["log_evidence"]["value"]) < 5 * found["log_evidence_error"]
    for column, label in enumerate(labels):
        parameter = known["parameters"][f"beta[{label}]"]
        assert abs(found["mean"][column] - parameter["mean"]) < 5 * found["error"][column], label
        assert found["sd"][column] == pytest.approx(parameter["sd"], rel=0.05), label
    for guide, full_rank in (("auto_normal", False), ("auto_multivariate_normal", True)):
        best = regressions.logistic_gaussian(x, y, full_rank=full_rank)[0]
        assert best == pytest.approx(known["best_bound"][guide]["value"], abs=1e-5)
