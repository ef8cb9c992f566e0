"""The two programs of handwritten digits: probabilistic PCA in closed form, and how well grey can be told."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from pyro_vae.catalogue import load_program


def covariance(name: str = "linear_vae") -> np.ndarray:
    """The pixels' covariance over N, ``[64, 64]``."""
    x = load_program(name).data["x"].double().numpy().reshape(-1, 64)
    return np.cov(x.T, bias=True)


def principal_components(count: int) -> np.ndarray:
    """The leading eigenvectors of the covariance in columns, ``[64, count]``."""
    return np.linalg.eigh(covariance())[1][:, ::-1][:, :count]


def probabilistic_pca(latents: int) -> dict[str, float]:
    """The log evidence and KL per row and the noise variance at the maximum of the likelihood."""
    spectrum = np.linalg.eigvalsh(covariance())[::-1]
    leading, noise = spectrum[:latents], spectrum[latents:].mean()
    size = len(spectrum)
    log_evidence = -0.5 * (size * np.log(2 * np.pi) + np.log(leading).sum() + (size - latents) * np.log(noise) + size)
    return {
        "log_evidence": float(log_evidence),
        "kl": float(0.5 * np.log(leading / noise).sum()),
        "noise_variance": float(noise),
    }


def linear_vae() -> dict[str, Any]:
    """The contents of ``models/reference/linear_vae.json``."""
    sources = {
        "log_evidence": "-(d ln 2 pi + sum of ln l_i, i <= q, + (d - q) ln s^2 + d) / 2, l the eigenvalues of the "
        "covariance over N: Tipping and Bishop (1999), eq. 3.8 at the maximum",
        "kl": "the mean over the rows: sum of ln(l_i / s^2) / 2, i <= q",
        "noise_variance": "s^2, the mean of the eigenvalues beyond the q-th",
    }
    return {
        "program": "linear_vae",
        "per_row": {
            f"latents={latents}": {
                name: {"value": value, "source": sources[name]} for name, value in probabilistic_pca(latents).items()
            }
            for latents in (5, 10)
        },
    }


def vae_digits() -> dict[str, Any]:
    """The contents of ``models/reference/vae_digits.json``."""
    x = load_program("vae_digits").data["x"].double().numpy().reshape(-1, 64)
    return {
        "program": "vae_digits",
        "per_row": {
            "ceiling": {
                "value": float(-_entropy(x).sum(1).mean()),
                "source": "minus the sum of the pixels' binary entropies: the formula at p = x, above every bound",
            },
            "without_latents": {
                "value": float(-_entropy(x.mean(0)).sum()),
                "source": "minus the sum of the entropies of the pixels' means: the best p that knows no single digit",
            },
        },
    }


def _entropy(p: np.ndarray) -> np.ndarray:
    return special.entr(p) + special.entr(1 - p)
