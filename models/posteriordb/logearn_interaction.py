r"""The logarithm of earnings, by height, sex and their product.

The earnings in dollars of 1192 people, with their heights in inches.

.. math:: \ln \text{earn}_i &\sim N(\beta_1 + \beta_2 \text{height}_i + \beta_3 \text{male}_i \\
          &\qquad + \beta_4 \text{height}_i \text{male}_i, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Sex and the product are all but collinear, because heights lie far from 0.

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.4; the
posterior earnings-logearn_interaction of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("earnings-logearn_interaction",)
coords = {"coefficient": ["intercept", "height", "male", "height x male"]}
dims = {"beta": ["coefficient"], "y": ["person"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 4]`` and the log earnings ``y`` ``[N]``."""
    height, male = column(data, "height"), column(data, "male")
    return {"x": design(height, male, height * male), "y": column(data, "earn").log()}


model = flat_regression
