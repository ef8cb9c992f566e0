"""What is known of the VAE programs whose data are generated: derived with NumPy and SciPy, not by the programs."""

from __future__ import annotations

from itertools import product
from math import comb
from typing import Any

import numpy as np
from scipy import special, stats

from pyro_vae.catalogue import load_program


def rows(name: str) -> np.ndarray:
    """The program's x in double precision."""
    return load_program(name).data["x"].double().numpy()


def reference(name: str, **values: tuple[float, str]) -> dict[str, Any]:
    """The contents of ``models/reference/<name>.json``."""
    per_row = {key: {"value": float(value), "source": source} for key, (value, source) in values.items()}
    return {"program": name, "per_row": per_row}


def sentence_vae() -> dict[str, Any]:
    """The entropy by the chain rule: words of a slot are alike, and drawn independently given the subject.

    No sentence belongs to two subjects, since no noun does: the subject adds ln 3.
    """
    describing = np.log(2) + 0.5 * np.log(3)
    ending = -0.4 * np.log(0.4) - 0.6 * np.log(0.3) + 0.3 * np.log(3) + 0.3 * np.log(4)
    entropy = np.log(3) + describing + np.log(4) + np.log(4) + ending
    source = "minus the entropy of the grammar by the chain rule: on fresh text no mean bound lies above but by chance"
    return reference("sentence_vae", log_likelihood=(-entropy, source))


def sentiment_vae() -> dict[str, Any]:
    """Three adjectives, each from the label's list with probability .9: it counts from which lists they come."""
    patterns = {k: (0.9**k * 0.1 ** (3 - k) + 0.1**k * 0.9 ** (3 - k)) / 2 for k in range(4)}
    entropy = np.log(9) + 3 * np.log(100) - sum(comb(3, k) * p * np.log(p) for k, p in patterns.items())
    return reference(
        "sentiment_vae",
        log_likelihood=(-entropy, "minus the entropy of a sentence: 9 nouns, 3 adjectives of 100, and their lists"),
        best_accuracy=(0.9**3 + 3 * 0.9**2 * 0.1, "at least two of three adjectives are from the label's list"),
    )


def sigmoid_belief_network() -> dict[str, Any]:
    """All 65 536 images, under each of the 256 sets of bars."""
    sets = np.array(list(product([0, 1], repeat=8)))
    drawn = np.array([np.maximum.outer(one[:4], one[4:]).ravel() for one in sets])
    log_p = special.xlogy(sets, 0.2).sum(1) + special.xlogy(1 - sets, 0.8).sum(1)
    image = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    apart = image @ (1 - drawn.T) + (1 - image) @ drawn.T
    log_image = special.logsumexp(log_p + apart * np.log(0.02) + (16 - apart) * np.log(0.98), axis=1)
    source = "minus the entropy of an image, over all 65 536: on fresh images no mean bound lies above but by chance"
    return reference("sigmoid_belief_network", log_likelihood=(np.exp(log_image) @ log_image, source))


def per_datapoint() -> dict[str, Any]:
    """Gauss and Legendre's rule over z from -6.5 to 6.5 in both dimensions."""
    layers = load_program("per_datapoint").vae.decoder.layers
    A, a, B, b = (parameter.double().numpy() for parameter in (*layers[0].parameters(), *layers[2].parameters()))
    nodes, weights = np.polynomial.legendre.leggauss(300)
    z = 6.5 * np.stack(np.meshgrid(nodes, nodes), -1).reshape(-1, 2)
    log_weight = np.log(np.outer(weights, weights).ravel() * 6.5**2) + stats.norm.logpdf(z).sum(1)
    mean = np.tanh(z @ A.T + a) @ B.T + b
    log_p = [special.logsumexp(log_weight + stats.norm.logpdf(x, mean, 0.3).sum(1)) for x in rows("per_datapoint")]
    return reference("per_datapoint", log_likelihood=(np.mean(log_p), "the mean over the rows, by Gauss and Legendre"))


def stick_breaking_vae() -> dict[str, Any]:
    """With α = 1 the two fractions are uniform: Gauss and Legendre's rule in both."""
    nodes, weights = np.polynomial.legendre.leggauss(120)
    v, w = (nodes + 1) / 2, weights / 2
    one, two = (grid.ravel() for grid in np.meshgrid(v, v))
    pi = np.stack([one, (1 - one) * two, (1 - one) * (1 - two)], -1)
    bumps = np.exp(-0.5 * ((np.arange(20) - np.array([[4], [10], [16]])) / 2) ** 2)
    log_weight, mean = np.log(np.outer(w, w).ravel()), pi @ bumps
    log_p = [special.logsumexp(log_weight + stats.norm.logpdf(x, mean, 0.1).sum(1)) for x in rows("stick_breaking_vae")]
    source = "the mean over the rows under the profiles that made them, by Gauss and Legendre"
    return reference("stick_breaking_vae", log_likelihood=(np.mean(log_p), source))


def topic_model() -> dict[str, Any]:
    """From counts alone: the best without topics, and the best with a distribution over words for each document."""
    x = rows("topic_model")
    coefficient = special.gammaln(61) - special.gammaln(x + 1).sum(1)
    whole, each = x.mean(0) / 60, x / 60
    return reference(
        "topic_model",
        without_latents=(np.mean(coefficient + special.xlogy(x, whole).sum(1)), "every document of the mean's words"),
        ceiling=(np.mean(coefficient + special.xlogy(x, each).sum(1)), "every document of its own words' frequencies"),
    )


def categorical_vae() -> dict[str, Any]:
    """The sum over the four prototypes."""
    place = np.arange(24)
    black = np.stack([place < 12, place % 2 == 0, place % 3 == 0, place >= 8])
    log_p = stats.bernoulli.logpmf(rows("categorical_vae")[:, None], np.where(black, 0.9, 0.1)).sum(-1)
    source = "the mean over the rows under the prototypes that made them, a sum of four terms"
    return reference("categorical_vae", log_likelihood=(np.mean(special.logsumexp(log_p, axis=1) - np.log(4)), source))


def gaussian_mixture_vae() -> dict[str, Any]:
    """The sum over the three clusters."""
    A = np.array([[1, 0], [0, 1], [1, 1], [1, -1], [0.5, -1], [-1, 0.5]])
    spread, clusters = 0.25 * A @ A.T + 0.09 * np.eye(6), {0.5: [-2, 0], 0.3: [2, 1], 0.2: [1, -3]}
    x = rows("gaussian_mixture_vae")
    parts = [np.log(share) + stats.multivariate_normal.logpdf(x, A @ m, spread) for share, m in clusters.items()]
    source = "the mean over the rows under the mixture that made them, in closed form"
    return reference("gaussian_mixture_vae", log_likelihood=(np.mean(special.logsumexp(parts, axis=0)), source))
