r"""A child's test score, by its mother's schooling.

The cognitive test scores of 434 three- and four-year-old children; ``mom_hs`` is 1 where the mother finished high
school.

.. math:: \text{score}_i &\sim N(\beta_1 + \beta_2 \text{hs}_i, \sigma^2), \\
          \beta &\text{ flat}, \qquad \sigma \sim \text{half-Cauchy}(2.5)

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 3.1; the
posterior kidiq-kidscore_momhs of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, half_cauchy_regression
from torch import Tensor

posteriors = ("kidiq-kidscore_momhs",)
coords = {"coefficient": ["intercept", "high school"]}
dims = {"beta": ["coefficient"], "y": ["child"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 2]`` and the scores ``y`` ``[N]``."""
    return {"x": design(column(data, "mom_hs")), "y": column(data, "kid_score")}


model = half_cauchy_regression
