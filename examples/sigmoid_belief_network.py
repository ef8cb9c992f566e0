"""
Gradients of bits: four estimators on a sigmoid belief network
==============================================================

The program ``sigmoid_belief_network`` has eight hidden bits for images of bars. Bits cannot be differentiated, so the
gradient of the bound has to be estimated in another way, and the ways differ in their noise. The network is small
enough to add up all its 256 states: what each estimator arrives at is measured by the exact log-likelihood, not by its
own bound."""

# %%
# Four estimators
# ---------------
#
# NVIL (a score function with a learned baseline network), DisARM, RELAX, and VIMCO. Each gets four evaluations of the
# model per row: NVIL and VIMCO four draws, DisARM two antithetic pairs, RELAX, which takes three evaluations per draw,
# one. VIMCO climbs a tighter bound than the others, that of four draws; its noise is about another gradient, and is to
# be read with that in mind.

import matplotlib.pyplot as plt
import torch
from torch.utils.data import DataLoader

import pyro_vae as pv

program = pv.load_program("sigmoid_belief_network")
x = program.data["x"]

estimators = {
    "NVIL": (lambda: pv.ScoreFunction(pv.Network()), 4),
    "DisARM": (pv.DisARM, 2),
    "RELAX": (pv.RELAX, 1),
    "VIMCO": (pv.VIMCO, 4),
}


def fitted(name, epochs):
    """A network trained from seed 0, and the objective with what the estimator has learned on the way."""
    make, particles = estimators[name]
    vae = pv.load_program("sigmoid_belief_network", size=len(x)).vae
    elbo = pv.TraceELBO(make(), num_particles=particles)
    batches = DataLoader(x, batch_size=100, shuffle=True)
    pv.fit(vae.model, vae.guide, batches, estimator=elbo, epochs=epochs, learning_rate=0.02, seed=0, progress=False)
    return vae, elbo


# %%
# Their noise
# -----------
#
# The variance of one gradient of the encoder's parameters, added up over them, from 100 repetitions on the same 100
# images. All four are measured at one place: the network that NVIL has trained for 40 epochs. RELAX and NVIL come with
# what they learned in as many epochs of their own.

halfway = {name: fitted(name, 40) for name in estimators}
place = {key: value.clone() for key, value in halfway["NVIL"][0].state_dict().items()}


def gradient_variance(name, repetitions=100):
    """Per row, in nats squared."""
    vae, elbo = halfway[name]
    vae.load_state_dict(place)
    gradients = []
    for _ in range(repetitions):
        vae.zero_grad()
        elbo.differentiable_loss(vae.model, vae.guide, x[:100]).backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in vae.encoder.parameters()]) / len(x))
    return torch.stack(gradients).var(0).sum().item()


torch.manual_seed(0)
variances = {name: gradient_variance(name) for name in estimators}

# %%
# Where they arrive
# -----------------
#
# Trained for 120 epochs from the same start; the exact log-likelihood of the images, at the end.

reached = {name: fitted(name, 120)[0].log_likelihood(x).mean().item() for name in estimators}
entropy = -program.reference["per_row"]["log_likelihood"]["value"]

for name in sorted(estimators, key=lambda name: variances[name]):
    print(f"{name:7} variance {variances[name]:.2e}   log-likelihood {reached[name]:.3f}")
print(f"minus the entropy of such images: {-entropy:.3f}")

# %%
# Both rankings in one figure. The dashed line is minus the entropy of what made the images.

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
quiet = sorted(estimators, key=lambda name: variances[name], reverse=True)
left.plot([variances[name] for name in quiet], quiet, "o", color="#0b4f8a")
left.set(xscale="log", xlim=(0.01, 1), xlabel="variance of one gradient, per image", title="noise: less is better")
high = sorted(estimators, key=lambda name: reached[name])
right.plot([reached[name] for name in high], high, "o", color="#0b4f8a")
right.axvline(-entropy, color="#d1580a", linestyle="--")
right.set(xlabel="log-likelihood (nats per image)", title="after 120 epochs: more is better")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="#dde1e7", linewidth=0.7)
plt.show()
