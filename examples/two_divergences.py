r"""
Two divergences, two guides
===========================

Fit one Gaussian to a posterior with two modes. Every Gaussian is wrong; *how* it is wrong is decided by the divergence
that the fit minimises. The ELBO minimises KL(q || p) and keeps out of places without density; reweighted wake-sleep
minimises KL(p || q) and leaves no place with density out.
"""

# %%
# The target
# ----------
#
# A mixture of two normals, one narrow with a weight of 0.6, one wider, as the posterior of a model without data:

import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import torch

import pyro_vae as pv

WEIGHTS, LOCS, SCALES = torch.tensor([0.6, 0.4]), torch.tensor([-3.0, 3.0]), torch.tensor([0.5, 0.8])
TARGET = dist.MixtureSameFamily(dist.Categorical(WEIGHTS), dist.Normal(LOCS, SCALES))


def model():
    pyro.sample("z", TARGET)


# %%
# The same guide, two estimators
# --------------------------------
#
# Both start between the modes, as wide as their distance asks for. ``Reparameterized`` climbs the ELBO. ``WakeWake``
# fits the guide, by maximum likelihood, to draws weighted by p/q.


def guide():
    scale = pyro.param("scale", torch.tensor(2.0), constraint=dist.constraints.positive)
    pyro.sample("z", dist.Normal(pyro.param("loc", torch.tensor(0.0)), scale))


ESTIMATORS = {
    "KL(q || p): Reparameterized": pv.Reparameterized(),
    "KL(p || q): WakeWake": pv.WakeWake(),
}
fitted = {}
for name, estimator in ESTIMATORS.items():
    pyro.clear_param_store()
    fit = pv.fit(model, guide, estimator=estimator, num_particles=64, learning_rate=0.03, steps=900, seed=0)
    fitted[name] = dist.Normal(fit.params["loc"], fit.params["scale"])
    print(f"{name:30} N({fit.params['loc']:.2f}, {fit.params['scale']:.2f}); bound {fit.bound:.2f}")

# %%
# Among Gaussians KL(p || q) is least where mean and variance are the target's own, so this fit can be checked by hand:

mean = (WEIGHTS * LOCS).sum()
sd = ((WEIGHTS * (SCALES**2 + LOCS**2)).sum() - mean**2).sqrt()
print(f"the target's own mean and sd:  N({mean:.2f}, {sd:.2f})")

# %%
# The two mistakes
# ----------------
#
# Below the densities is what importance sampling from each has to make up for: the log of p/q. The guide that sought a
# mode has weights that rise out of the picture where the other mode is, and no draws there to say so. The guide that
# covers has weights that are bounded, and many draws in the gap that count for little.

grid = torch.linspace(-7, 8, 400)
figure, (above, below) = plt.subplots(2, 1, figsize=(7.2, 5.2), sharex=True, height_ratios=(3, 2), layout="constrained")
above.fill_between(grid, TARGET.log_prob(grid).exp(), color="#ccd2da", linewidth=0, label="target p")
for (name, q), color in zip(fitted.items(), ("#0b4f8a", "#c0561b"), strict=True):
    above.plot(grid, q.log_prob(grid).exp(), color=color, linewidth=1.8, label=name)
    below.plot(grid, TARGET.log_prob(grid) - q.log_prob(grid), color=color, linewidth=1.8)
figure.suptitle("One Gaussian, two ways to be wrong")
above.set(ylabel="density")
above.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
below.axhline(0, color="#8a94a0", linewidth=0.8)
below.set(xlabel="z", ylabel="log p/q", ylim=(-6, 12), xlim=(-7, 8))
for axes in (above, below):
    axes.spines[["top", "right"]].set_visible(False)

# %%
# What the weights make of 10 000 draws. By the effective number of draws the guide in one mode is perfect: its weights
# are all equal where it draws, and it draws nowhere else. The guide that covers pays two thirds of its draws and gets
# the mass of both modes right:

for name, q in fitted.items():
    torch.manual_seed(1)
    z = q.sample((10_000,))
    log_w = (TARGET.log_prob(z) - q.log_prob(z)).double()
    ess = float(torch.exp(2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)))
    right = float((torch.softmax(log_w, 0) * (z > 0.5)).sum())
    exact = float(1 - (WEIGHTS * dist.Normal(LOCS, SCALES).cdf(torch.tensor(0.5))).sum())
    print(f"{name:30} {ess:7.0f} effective; mass above 0.5: {right:.2f}, exactly {exact:.2f}")
