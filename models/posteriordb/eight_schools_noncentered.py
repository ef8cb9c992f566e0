r"""Eight schools, non-centred, as posteriordb has it.

.. math:: \mu \sim N(0, 5^2), \qquad \tau \sim \text{half-Cauchy}(5), \qquad t_j \sim N(0, 1), \qquad
          \theta_j = \mu + \tau t_j, \qquad y_j \sim N(\theta_j, \sigma_j^2)

The same posterior of mu, tau and theta as the centred one. The reference draws have these three; t (``theta_trans``)
follows from them.

Source: D. B. Rubin, "Estimation in parallel randomized experiments", Journal of Educational Statistics 6 (1981); the
posterior eight_schools-eight_schools_noncentered of posteriordb.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import _eight_schools as schools
import numpy as np

posteriors = ("eight_schools-eight_schools_noncentered",)
dims = schools.dims
load = schools.load
model = schools.noncentered


def from_reference(draws: Mapping[str, np.ndarray], data: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The draws of posteriordb with ``theta_trans``, which it does not have."""
    steps = (draws["theta"] - draws["mu"][..., None]) / draws["tau"][..., None]
    return {**draws, "theta_trans": steps}
