r"""A child's test score, by how much its mother worked in its first three years.

The cognitive test scores of 434 children. ``mom_work`` has four levels, from no work in the first three years to
full-time work in the first; the first level is the intercept, and the others are differences from it:

.. math:: \text{score}_i \sim N(\beta_1 + \beta_2 [w_i = 2] + \beta_3 [w_i = 3] + \beta_4 [w_i = 4], \sigma^2),
          \qquad \beta \text{ and } \sigma > 0 \text{ flat}

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.7; the
posterior kidiq_with_mom_work-kidscore_mom_work of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("kidiq_with_mom_work-kidscore_mom_work",)
coords = {"coefficient": ["intercept", "level 2", "level 3", "level 4"]}
dims = {"beta": ["coefficient"], "y": ["child"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[434, 4]`` of three indicators, and the scores ``y`` ``[434]``."""
    work = column(data, "mom_work")
    return {"x": design(*((work == level).to(work) for level in (2, 3, 4))), "y": column(data, "kid_score")}


model = flat_regression
