r"""The logarithm of earnings to the base 10, by height.

The earnings in dollars of 1192 people, with their heights in inches.

.. math:: \log_{10} \text{earn}_i &\sim N(\beta_1 + \beta_2 \text{height}_i, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.4; the
posterior earnings-log10earn_height of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("earnings-log10earn_height",)
coords = {"coefficient": ["intercept", "height"]}
dims = {"beta": ["coefficient"], "y": ["person"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 2]`` and the log earnings, to the base 10, ``y`` ``[N]``."""
    return {"x": design(column(data, "height")), "y": column(data, "earn").log10()}


model = flat_regression
