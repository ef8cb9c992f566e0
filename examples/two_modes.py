r"""
What neither k-hat nor NUTS can see
===================================

A posterior with two well-separated modes fools the usual checks, one after the other. The bound has converged, the
importance weights are nearly constant, NUTS has four chains that may well agree. This example shows what each of them
sees, and what exact draws show.
"""

# %%
# The program ``bimodal``
# -----------------------
#
# Half of the posterior is at -4, half at +4. A normal guide settles on one of them. Inside that mode it is almost
# perfect, and so are its importance weights:

import textwrap

import matplotlib.pyplot as plt
import numpy as np

import pyro_vae as pv

by_exact_draws = pv.compare("bimodal", guides=["auto_normal"], baseline="reference", seed=0)
judgement = by_exact_draws.judgements["auto_normal"]
print(f"k-hat {judgement.weights.khat:.2f}, below .7: by this number alone all is well")

# %%
# Judged on draws that know both modes, the verdict is another:

verdict = by_exact_draws.verdicts["auto_normal"]
print(f"{verdict.level}: {textwrap.fill(verdict.reason, 78)}")

# %%
# The picture
# -----------
#
# No diagnostic that looks only where the guide or the chain has been can find what lies elsewhere. Several
# restarts from different places, chains that start far apart, and a look at the model itself are what helps when
# there are no exact draws.

[name] = by_exact_draws.baseline.posterior.data_vars
exact = by_exact_draws.baseline.posterior[name].values.ravel()
guide = by_exact_draws.posteriors["auto_normal"].posterior[name].values.ravel()
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
grid = np.linspace(-8, 8, 81)
axes.hist(exact, grid, density=True, color="#ccd2da", label="exact draws")
axes.hist(guide, grid, density=True, histtype="step", color="#0b4f8a", linewidth=1.8, label="mean-field guide")
axes.set(xlabel=name, ylabel="density", title=f"k-hat {judgement.weights.khat:.2f}, and half of the posterior missing")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
