r"""The weight of mesquite bushes, by volume, area and shape of their canopies and three more measurements.

46 bushes of Texas were measured and then cut down and weighed. With the canopy's diameters :math:`d_1, d_2` and
height h, all logarithms natural:

.. math:: \ln \text{weight}_i \sim N(\beta_1 + \beta_2 \ln d_1 d_2 h + \beta_3 \ln d_1 d_2 + \beta_4 \ln d_1 / d_2
          + \beta_5 \ln \text{total height} + \beta_6 \ln \text{density} + \beta_7 \text{group}, \sigma^2),
          \qquad \beta \text{ and } \sigma > 0 \text{ flat}

Volume and area say nearly the same, and so do the two heights: the columns are collinear.

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.6; the
posterior mesquite-logmesquite_logvas of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("mesquite-logmesquite_logvas",)
coords = {"coefficient": ["intercept", "volume", "area", "shape", "total height", "density", "group"]}
dims = {"beta": ["coefficient"], "y": ["bush"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[46, 7]`` and the log weights ``y`` ``[46]``, in grams."""
    first, second = column(data, "diam1").log(), column(data, "diam2").log()
    area = first + second
    others = (column(data, name).log() for name in ("total_height", "density"))
    volume = area + column(data, "canopy_height").log()
    x = design(volume, area, first - second, *others, column(data, "group"))
    return {"x": x, "y": column(data, "weight").log()}


model = flat_regression
