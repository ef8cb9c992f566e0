r"""The logarithm of earnings, by height and sex.

The earnings in dollars of 1192 people, with their heights in inches.

.. math:: \ln \text{earn}_i &\sim N(\beta_1 + \beta_2 \text{height}_i + \beta_3 \text{male}_i, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.4; the
posterior earnings-logearn_height_male of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("earnings-logearn_height_male",)
coords = {"coefficient": ["intercept", "height", "male"]}
dims = {"beta": ["coefficient"], "y": ["person"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 3]`` and the log earnings ``y`` ``[N]``."""
    return {"x": design(column(data, "height"), column(data, "male")), "y": column(data, "earn").log()}


model = flat_regression
