r"""Eight schools, centred, as posteriordb has it: a funnel that no Gaussian follows.

.. math:: \mu \sim N(0, 5^2), \qquad \tau \sim \text{half-Cauchy}(5), \qquad \theta_j \sim N(\mu, \tau^2), \qquad
          y_j \sim N(\theta_j, \sigma_j^2)

The catalogue's ``eight_schools`` tells the story. ``baseline_model`` is the non-centred one; the reference draws were
made with it.

Source: D. B. Rubin, "Estimation in parallel randomized experiments", Journal of Educational Statistics 6 (1981); the
posterior eight_schools-eight_schools_centered of posteriordb.
"""

from __future__ import annotations

import _eight_schools as schools

posteriors = ("eight_schools-eight_schools_centered",)
dims = schools.dims
load = schools.load
model = schools.centered
baseline_model = schools.noncentered
