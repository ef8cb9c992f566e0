r"""The logarithm of earnings, by standardised height, sex and their product.

The earnings in dollars of 1192 people, with their heights in inches.

.. math:: \ln \text{earn}_i &\sim N(\beta_1 + \beta_2 z_i + \beta_3 \text{male}_i \\
          &\qquad + \beta_4 z_i \text{male}_i, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

z is the height, less its mean and divided by its standard deviation: what was collinear in ``logearn_interaction`` is
not so here.

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.4; the
posterior earnings-logearn_interaction_z of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("earnings-logearn_interaction_z",)
coords = {"coefficient": ["intercept", "height", "male", "height x male"]}
dims = {"beta": ["coefficient"], "y": ["person"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 4]`` and the log earnings ``y`` ``[N]``."""
    height, male = column(data, "height"), column(data, "male")
    height = (height - height.mean()) / height.std()
    return {"x": design(height, male, height * male), "y": column(data, "earn").log()}


model = flat_regression
