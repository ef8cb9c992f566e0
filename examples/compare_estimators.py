r"""
Six gradient estimators, one model
==================================

Which gradient estimator should one use? This example asks it of eight schools (non-centred, with a mean-field
guide), and the answer turns out to depend on what the fit is for: the estimators that win on their own scale lose on
another, and the losers there give the better weighted draws.
"""

# %%
# One call
# --------
#
# Each estimator gets a fit of its own, from the same start and the same seed, and is judged on the same NUTS draws.

import pyro_vae as pv
from pyro_vae.plots import Reached, plot_estimators

comparison = pv.compare(
    "eight_schools_noncentered",
    guides="auto_normal",
    estimator=[
        "reparameterized",
        "score-function",
        "score-function:leave-one-out",
        "sticking-the-landing",
        "dreg",
        "iwae",
    ],
    steps=1500,
    seed=0,
    progress=False,
)
table = comparison.estimators()
print(table[["bound", "elbo", "elbo_se", "khat", "level", "converged", "steps"]].round(2).to_string())

# %%
# Two scales
# ----------
#
# ``bound`` is what each estimator maximised. For the last two that is an importance-weighted bound of 16 draws, which
# lies above the ELBO for every guide, so it is no merit that theirs is the highest. ``elbo`` is the same quantity for
# all: :math:`E_q[\log p - \log q]` of the fitted guide, from fresh draws. Its gap to the log evidence is KL(q‖p).
#
# On that scale the two are far behind. Their guides are too wide, so most of their draws lie where the model has
# almost no density. But :math:`\hat k`, which says how well the draws can be *weighted*, is best for just these: a
# guide that is too wide covers the posterior, one that is too narrow does not. Fit the ELBO for draws to use as they
# are, and a bound of several samples for draws to weight.

evidence = comparison.reference["log_evidence"]["value"]
for name, row in table.iterrows():
    print(f"{name:<29} KL(q||p) = {evidence - row['elbo']:8.2f}   k-hat {row['khat']:.2f}")

# %%
# What it cost
# ------------
#
# The score function without a baseline takes steps as fast as the others and needs many more of them. ``DReG`` runs
# guide and model twice per step. The left panel counts steps, the right one seconds.
#
# A line is the running median of the ELBO as each step's own draws estimate it, and the band their 5 to 95 % range. The
# marker at the end is the fitted guide's ELBO: a mean, which a long tail pulls down below the median.

reached = {name: Reached(row["elbo"], row["elbo_se"], row["khat"]) for name, row in table.iterrows()}
histories = {name: fit.history for name, fit in comparison.fits.items()}
figure = plot_estimators(histories, reached, log_evidence=evidence)
