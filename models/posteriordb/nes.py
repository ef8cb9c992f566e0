r"""Which party people feel close to, by ideology, race, age, education, gender and income.

The National Election Study of eight years, 1972 to 2000. The party goes from 1 (strong Democrat) to 7 (strong
Republican), ideology from 1 (liberal) to 7 (conservative); age has four levels, of which the first is the intercept:

.. math:: \text{party}_i &\sim N(\beta_1 + \beta_2 \text{ideology}_i + \beta_3 \text{race}_i \\
          &\qquad + \beta_4 [a_i = 2] + \beta_5 [a_i = 3] + \beta_6 [a_i = 4] \\
          &\qquad + \beta_7 \text{education}_i + \beta_8 \text{gender}_i + \beta_9 \text{income}_i, \sigma^2), \\
          \beta &\text{ and } \sigma > 0 \text{ flat}

Source: A. Gelman, J. Hill, Data Analysis Using Regression and Multilevel/Hierarchical Models (2007), section 4.7; the
posteriors nes1972-nes, nes1976-nes, nes1980-nes, nes1984-nes, nes1988-nes, nes1992-nes, nes1996-nes, nes2000-nes of
posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from _regression import column, design, flat_regression
from torch import Tensor

posteriors = (
    "nes1972-nes",
    "nes1976-nes",
    "nes1980-nes",
    "nes1984-nes",
    "nes1988-nes",
    "nes1992-nes",
    "nes1996-nes",
    "nes2000-nes",
)
coords = {
    "coefficient": [
        "intercept",
        "ideology",
        "race",
        "age 30-44",
        "age 45-64",
        "age 65+",
        "education",
        "gender",
        "income",
    ]
}
dims = {"beta": ["coefficient"], "y": ["person"]}


def load(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The design matrix ``x`` ``[N, 9]`` and the parties ``y`` ``[N]``."""
    ideology, race, education, gender, income = (
        column(data, name) for name in ("real_ideo", "race_adj", "educ1", "gender", "income")
    )
    age = column(data, "age_discrete")
    ages = ((age == level).to(age) for level in (2, 3, 4))
    return {"x": design(ideology, race, *ages, education, gender, income), "y": column(data, "partyid7")}


model = flat_regression
