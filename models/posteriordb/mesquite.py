r"""The weight of mesquite bushes, by six measurements as they are.

The weight of the leaves of 46 mesquite bushes, by what was measured before they were harvested: the canopy's diameters
:math:`d_1, d_2` and height h, the total height t, the number of stems d per plant unit (the density), and the group g,
one of two times of the year.

.. math:: \text{weight}_i &\sim N(\beta_1 + \beta_2 d_1 + \beta_3 d_2 + \beta_4 h + \beta_5 t + \beta_6 d \\
          &\qquad + \beta_7 g, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.6; the
posterior mesquite-mesquite of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("mesquite-mesquite",)
coords = {"coefficient": ["intercept", "diameter 1", "diameter 2", "canopy height", "total height", "density", "group"]}
dims = {"beta": ["coefficient"], "y": ["bush"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 7]`` and the weights ``y`` ``[N]``."""
    names = ("diam1", "diam2", "canopy_height", "total_height", "density", "group")
    return {"x": design(*(column(data, name) for name in names)), "y": column(data, "weight")}


model = flat_regression
