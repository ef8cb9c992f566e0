r"""The logarithm of the weight of mesquite bushes, by the logarithms of five measurements and the group.

The weight of the leaves of 46 mesquite bushes, by what was measured before they were harvested: the canopy's diameters
:math:`d_1, d_2` and height h, the total height t, the number of stems d per plant unit (the density), and the group g,
one of two times of the year.

.. math:: \ln \text{weight}_i &\sim N(\beta_1 + \beta_2 \ln d_1 + \beta_3 \ln d_2 + \beta_4 \ln h \\
          &\qquad + \beta_5 \ln t + \beta_6 \ln d + \beta_7 g, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.6; the
posterior mesquite-logmesquite of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("mesquite-logmesquite",)
coords = {"coefficient": ["intercept", "diameter 1", "diameter 2", "canopy height", "total height", "density", "group"]}
dims = {"beta": ["coefficient"], "y": ["bush"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 7]`` and the log weights ``y`` ``[N]``."""
    names = ("diam1", "diam2", "canopy_height", "total_height", "density")
    x = design(*(column(data, name).log() for name in names), column(data, "group"))
    return {"x": x, "y": column(data, "weight").log()}


model = flat_regression
