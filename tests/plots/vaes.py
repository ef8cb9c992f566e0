"""What the figures of a VAE's report show, made up."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

RNG = np.random.default_rng(0)
NAMES = [f"z[{index}]" for index in range(9)]
KL = np.array([1.2, 0.003, 0.8, 0.002, 2.1, 0.4, 0.001, 0.9, 0.05])
STEPS = np.array([*range(50, 1050, 50), 1000])
TERMS = SimpleNamespace(
    steps=STEPS,
    names=NAMES,
    reconstruction=-20 - 30 * np.exp(-STEPS / 100),
    kl=KL * (1 - np.exp(-STEPS / 200))[:, None],
)
POINTS, LABELS = RNG.normal(size=(300, 2)), RNG.integers(0, 10, size=300)
CODES, PRIOR = RNG.normal(size=(300, 9)) * 0.8, RNG.normal(size=(1000, 9))
DISTANCES = np.linspace(0.6, 0.02, 9)
