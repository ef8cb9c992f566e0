r"""
Eight schools: one posterior, two ways to write it
==================================================

Eight schools tried a coaching programme, and eight noisy estimates of its effect are tied together by an unknown
spread :math:`\tau`. The model can be written *centred*, :math:`\theta_j \sim N(\mu, \tau^2)`, or *non-centred*,
:math:`\theta_j = \mu + \tau z_j`. It is the same posterior. It is not the same problem for a guide.
"""

# %%
# The same comparison, twice
# --------------------------
#
# Each comparison fits a mean-field guide and judges it on NUTS.

import textwrap

import matplotlib.pyplot as plt
import numpy as np

import pyro_vae as pv

comparisons = {}
for name in ["eight_schools", "eight_schools_noncentered"]:
    comparisons[name] = pv.compare(name, guides=["auto_normal"], seed=0)
    verdict = comparisons[name].verdicts["auto_normal"]
    print(f"{name}: {verdict.level}\n{textwrap.fill(verdict.reason, 78)}\n")

# %%
# NUTS has trouble with the centred form too. Its runs are retried until one counts, and how that went is kept
# with the draws:

print(textwrap.fill(comparisons["eight_schools"].how, 78))

# %%
# The worst parameter, in numbers
# -------------------------------

table = comparisons["eight_schools"].summary().loc["auto_normal"]
print(table[["baseline_mean", "baseline_sd", "delta_mean", "sd_ratio"]].round(2).to_string())

# %%
# The picture
# -----------
#
# The posterior of :math:`\tau` by each guide, and by NUTS. In the centred form the best the mean-field guide can
# do is to stay away from the neck of the funnel, where :math:`\tau` is small and the :math:`\theta_j` have no
# room. In the non-centred form there is no neck.

figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
grid = np.linspace(0, 15, 61)
for axes, (name, comparison) in zip(panels, comparisons.items(), strict=True):
    nuts = comparison.baseline.posterior["tau"].values.ravel()
    guide = comparison.posteriors["auto_normal"].posterior["tau"].values.ravel()
    axes.hist(nuts, grid, density=True, color="#ccd2da", label="NUTS")
    axes.hist(guide, grid, density=True, histtype="step", color="#0b4f8a", linewidth=1.8, label="mean-field guide")
    axes.set(xlabel="tau", title=f"{name.replace('_', ' ')}: {comparison.verdicts['auto_normal'].level}")
    axes.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("density")
panels[0].legend(frameon=False)
