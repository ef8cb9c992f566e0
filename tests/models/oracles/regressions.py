"""Linear regression in closed form; logistic regression by importance sampling around the best full-rank normal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from tests.models.oracles.gaussian_bound import best_gaussian, gauss_hermite


def linear(x: np.ndarray, y: np.ndarray, noise: float, labels: list[str]) -> dict[str, Any]:
    """The contents of ``models/reference/linear_regression.json``: conjugate formulas, no iteration."""
    n, size = x.shape
    log_evidence = float(stats.multivariate_normal(np.zeros(n), noise**2 * np.eye(n) + x @ x.T).logpdf(y))
    precision = np.eye(size) + x.T @ x / noise**2
    mean, cov = np.linalg.solve(precision, x.T @ y / noise**2), np.linalg.inv(precision)
    kl = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    scale = np.diag(np.diag(precision) ** -0.5)
    khat = 1 - np.linalg.eigvalsh(scale @ precision @ scale).min()
    return {
        "program": "linear_regression",
        "log_evidence": {
            "value": log_evidence,
            "error": 1e-5,
            "source": "log N(y; 0, s^2 I + X X'), evaluated on the data as the program holds them (32-bit floats)",
        },
        "best_bound": {
            "auto_normal": {
                "value": log_evidence - float(kl),
                "source": "log evidence minus KL = (sum ln L_jj - ln det L) / 2, L the posterior precision",
            },
            "auto_multivariate_normal": {"value": log_evidence, "source": "the posterior is in the family"},
        },
        "khat": {
            "auto_normal": {"value": float(khat), "source": "1 - smallest eigenvalue of D^-1/2 L D^-1/2, D = diag L"}
        },
        "parameters": {
            f"beta[{label}]": {"mean": float(m), "sd": float(s)}
            for label, m, s in zip(labels, mean, np.sqrt(np.diag(cov)), strict=True)
        },
        "parameters_source": "the conjugate posterior N(L^-1 X'y / s^2, L^-1)",
    }


def log_joint(beta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log p(y, beta) of the logistic regression for rows of ``beta`` ``[S, D]``."""
    logits = beta @ x.T
    log_prior = -0.5 * (beta**2).sum(1) - 0.5 * beta.shape[1] * math.log(2 * math.pi)
    return log_prior + special.log_expit(np.where(y > 0, logits, -logits)).sum(1)


def logistic_gaussian(x: np.ndarray, y: np.ndarray, *, full_rank: bool) -> tuple[float, np.ndarray, np.ndarray]:
    """The best Gaussian bound, its mean and root: a logit is normal, so its log-likelihood is a Gauss-Hermite sum."""
    signed = torch.from_numpy(np.where(y > 0, 1.0, -1.0)[:, None] * x)
    nodes, weights = gauss_hermite(40)

    def expected(mean: Tensor, root: Tensor) -> Tensor:
        centre, sd = signed @ mean, (signed @ root).square().sum(1).sqrt()
        log_likelihood = torch.nn.functional.logsigmoid(centre[:, None] + sd[:, None] * nodes) @ weights
        square = mean.square().sum() + root.square().sum()
        return log_likelihood.sum() - 0.5 * square - 0.5 * len(mean) * math.log(2 * math.pi)

    return best_gaussian(expected, x.shape[1], full_rank=full_rank)


def logistic_by_importance(x: np.ndarray, y: np.ndarray, draws: int, seed: int) -> dict[str, Any]:
    """log Z, means and sds with standard errors, from a multivariate t (20 degrees) at the best full-rank normal."""
    _, centre, root = logistic_gaussian(x, y, full_rank=True)
    proposal = stats.multivariate_t(centre, 1.1 * root @ root.T, df=20, seed=np.random.default_rng(seed))
    log_w, betas = [], []
    for _ in range(0, draws, 20_000):
        beta = proposal.rvs(20_000)
        log_w.append(log_joint(beta, x, y) - proposal.logpdf(beta))
        betas.append(beta)
    weights_log, beta = np.concatenate(log_w), np.concatenate(betas)
    top = weights_log.max()
    weights = np.exp(weights_log - top)
    normalised = weights / weights.sum()
    mean = normalised @ beta
    sd = np.sqrt(normalised @ (beta - mean) ** 2)
    error = np.sqrt((normalised**2) @ (beta - mean) ** 2)
    return {
        "log_evidence": float(top + math.log(weights.mean())),
        "log_evidence_error": float(weights.std() / weights.mean() / math.sqrt(len(weights))),
        "mean": mean,
        "sd": sd,
        "error": error,
        "ess": float(1 / (normalised**2).sum()),
    }


def logistic(x: np.ndarray, y: np.ndarray, labels: list[str], draws: int = 2_000_000, seed: int = 0) -> dict[str, Any]:
    """The contents of ``models/reference/logistic_regression.json``."""
    found = logistic_by_importance(x, y, draws, seed)
    how = f"self-normalised importance sampling, {draws} draws of a multivariate t (20 degrees of freedom) at the best "
    how += f"full-rank normal, effective sample size {found['ess']:.0f}"
    bound = (
        "every logit is normal under the guide, so the bound is a Gauss-Hermite sum (40 nodes) per row; L-BFGS, 64 bit"
    )
    return {
        "program": "logistic_regression",
        "log_evidence": {"value": found["log_evidence"], "error": found["log_evidence_error"], "source": how},
        "best_bound": {
            "auto_normal": {"value": logistic_gaussian(x, y, full_rank=False)[0], "source": bound},
            "auto_multivariate_normal": {"value": logistic_gaussian(x, y, full_rank=True)[0], "source": bound},
        },
        "parameters": {
            f"beta[{label}]": {"mean": float(m), "sd": float(s), "error": float(e)}
            for label, m, s, e in zip(labels, found["mean"], found["sd"], found["error"], strict=True)
        },
        "parameters_source": f"{how}; error is the standard error of the mean",
    }
