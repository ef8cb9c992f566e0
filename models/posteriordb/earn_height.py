r"""Earnings in dollars, by height.

The earnings in dollars of 1192 people, with their heights in inches.

.. math:: \text{earn}_i &\sim N(\beta_1 + \beta_2 \text{height}_i, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Heights lie around 67, far from 0: intercept and slope have a correlation of -.998. The numbers are large: the posterior
of the intercept lies around -60 000, a long way from where chains start.

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.1; the
posterior earnings-earn_height of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("earnings-earn_height",)
coords = {"coefficient": ["intercept", "height"]}
dims = {"beta": ["coefficient"], "y": ["person"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 2]`` and the earnings ``y`` ``[N]``."""
    return {"x": design(column(data, "height")), "y": column(data, "earn")}


model = flat_regression
