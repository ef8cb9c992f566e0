r"""The logarithm of the weight of mesquite bushes, by the volume of their canopy.

The weight of the leaves of 46 mesquite bushes, by what was measured before they were harvested: the canopy's diameters
:math:`d_1, d_2` and height h.

.. math:: \ln \text{weight}_i &\sim N(\beta_1 + \beta_2 \ln d_1 d_2 h, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.6; the
posterior mesquite-logmesquite_logvolume of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("mesquite-logmesquite_logvolume",)
coords = {"coefficient": ["intercept", "volume"]}
dims = {"beta": ["coefficient"], "y": ["bush"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 2]`` and the log weights ``y`` ``[N]``."""
    first, second, height = (column(data, name).log() for name in ("diam1", "diam2", "canopy_height"))
    return {"x": design(first + second + height), "y": column(data, "weight").log()}


model = flat_regression
