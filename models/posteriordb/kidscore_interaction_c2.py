r"""A child's test score, by its mother's schooling, her IQ and their product, counted from reference points.

The cognitive test scores of 434 three- and four-year-old children.

.. math:: \text{score}_i &\sim N(\beta_1 + \beta_2 h_i + \beta_3 q_i + \beta_4 h_i q_i, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

h is schooling less .5, and q is IQ less 100: the middle of the scale, which does not depend on the data.

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.2; the
posterior kidiq_with_mom_work-kidscore_interaction_c2 of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = ("kidiq_with_mom_work-kidscore_interaction_c2",)
coords = {"coefficient": ["intercept", "high school", "IQ", "high school x IQ"]}
dims = {"beta": ["coefficient"], "y": ["child"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 4]`` and the scores ``y`` ``[N]``."""
    school, iq = column(data, "mom_hs"), column(data, "mom_iq")
    school, iq = school - 0.5, iq - 100
    return {"x": design(school, iq, school * iq), "y": column(data, "kid_score")}


model = flat_regression
