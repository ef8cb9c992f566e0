r"""The logarithm of the weight of mesquite bushes, by volume and area of their canopy and the group.

The weight of the leaves of 46 mesquite bushes, by what was measured before they were harvested: the canopy's diameters
:math:`d_1, d_2` and height h, and the group g, one of two times of the year.

.. math:: \ln \text{weight}_i &\sim N(\beta_1 + \beta_2 \ln d_1 d_2 h + \beta_3 \ln d_1 d_2 + \beta_4 g, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.6; the
posterior mesquite-logmesquite_logva of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("mesquite-logmesquite_logva",)
coords = {"coefficient": ["intercept", "volume", "area", "group"]}
dims = {"beta": ["coefficient"], "y": ["bush"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 4]`` and the log weights ``y`` ``[N]``."""
    first, second, height = (column(data, name).log() for name in ("diam1", "diam2", "canopy_height"))
    x = design(first + second + height, first + second, column(data, "group"))
    return {"x": x, "y": column(data, "weight").log()}


model = flat_regression
