r"""A child's test score, by its mother's schooling and her IQ.

The cognitive test scores of 434 three- and four-year-old children; ``mom_hs`` is 1 where the mother finished high
school.

.. math:: \text{score}_i &\sim N(\beta_1 + \beta_2 \text{hs}_i + \beta_3 \text{iq}_i, \sigma^2), \\
          \beta &\text{ flat}, \qquad \sigma \sim \text{half-Cauchy}(2.5)

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 3.2; the
posterior kidiq-kidscore_momhsiq of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, half_cauchy_regression
from torch import Tensor

posteriors = ("kidiq-kidscore_momhsiq",)
coords = {"coefficient": ["intercept", "high school", "IQ"]}
dims = {"beta": ["coefficient"], "y": ["child"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 3]`` and the scores ``y`` ``[N]``."""
    return {"x": design(column(data, "mom_hs"), column(data, "mom_iq")), "y": column(data, "kid_score")}


model = half_cauchy_regression
