"""
Your own training loop
======================

``pv.TraceELBO`` is a ``pyro.infer.ELBO``. So it goes wherever one goes: into Pyro's ``SVI``, into a loop with a
torch optimiser, into Lightning. This example fits one model in all three and shows that they take the same steps.
"""

# %%
# A model, a guide, data
# ----------------------
#
# Nothing here knows of pyro-vae. The number of defects in a metre of cloth, on each of 40 rolls, with a rate that
# depends on the speed of the loom.

import logging

import lightning.pytorch as pl
import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI
from pyro.infer.autoguide import AutoMultivariateNormal
from torch.utils.data import DataLoader

import pyro_vae as pv


def model(speed, defects):
    base = pyro.sample("base", dist.Normal(0.0, 2.0))
    slope = pyro.sample("slope", dist.Normal(0.0, 1.0))
    with pyro.plate("roll", speed.shape[-1]):
        pyro.sample("defects", dist.Poisson((base + slope * speed).exp()), obs=defects)


generator = torch.Generator().manual_seed(3)
speed = torch.linspace(-2, 2, 40)
defects = torch.poisson((0.5 + 0.6 * speed).exp(), generator=generator)

STEPS, K = 400, 16


def start():
    """The same beginning for each of the three: seed, empty param store, fresh guide, objective."""
    pyro.clear_param_store()
    pyro.set_rng_seed(7)
    guide = AutoMultivariateNormal(model)
    guide(speed, defects)  # makes its parameters
    pyro.set_rng_seed(8)
    return guide, pv.TraceELBO(pv.Reparameterized(), num_particles=K)


# %%
# In Pyro's SVI
# -------------

guide, elbo = start()
svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.02}), loss=elbo)
in_svi = [-svi.step(speed, defects) for _ in range(STEPS)]
print("SVI      ", {name: round(value.item(), 4) for name, value in guide.median().items()})

# %%
# With a torch optimiser
# ----------------------
#
# Called with model and guide, the objective is a module, whose parameters are those of both.

guide, elbo = start()
loss = elbo(model, guide)
optimiser = torch.optim.Adam(loss.parameters(), lr=0.02)
in_torch = []
for _ in range(STEPS):
    optimiser.zero_grad()
    value = loss(speed, defects)
    value.backward()
    optimiser.step()
    in_torch.append(-value.item())
print("torch    ", {name: round(value.item(), 4) for name, value in guide.median().items()})

# %%
# In Lightning
# ------------
#
# The same module inside a ``LightningModule``. The value of the tensor that is differentiated is minus the bound
# whatever the estimator, so what Lightning logs or stops on means something.


class Training(pl.LightningModule):
    def __init__(self, loss):
        super().__init__()
        self.loss, self.bounds = loss, []

    def training_step(self, batch, index):
        if index == 0:
            pyro.set_rng_seed(8)  # the trainer has used random numbers of its own
        value = self.loss(*batch)
        self.bounds.append(-value.item())
        return value

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.02)


logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
guide, elbo = start()
training = Training(elbo(model, guide))
trainer = pl.Trainer(
    max_epochs=1,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(training, DataLoader([(speed, defects)] * STEPS, batch_size=None))  # all the data at each step
print("Lightning", {name: round(value.item(), 4) for name, value in guide.median().items()})

# %%
# What the fit says
# -----------------
#
# However a guide was trained, ``pv.sample_posterior`` makes an ArviZ ``DataTree`` of it, and ``pv.compare(...,
# refit=False)`` judges it against NUTS.

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, bounds, style in [("SVI", in_svi, "-"), ("torch", in_torch, "--"), ("Lightning", training.bounds, ":")]:
    axes.plot(bounds, linestyle=style, label=name)
axes.set(xlabel="step", ylabel="bound (nats)", title="One objective, three loops")
axes.set_ylim(bottom=min(in_svi[50:]) - 5)
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
