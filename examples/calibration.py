r"""
Right on average? Three guides calibrated
=========================================

A mean :math:`z \sim N(0, 1)` and five measurements :math:`y_i \sim N(z, 1)`. The posterior is
:math:`N(\sum_i y_i / 6,\ 1/6)`. Three guides, one of which is that, are tried on data that the model makes: draw z from
the prior, simulate y, and see where the true z stands among the guide's draws.
"""

# %%
# One is exact, one too narrow, one too high. (They have nothing to fit: ``idle`` has no effect.)

import textwrap

import pyro
import pyro.distributions as dist
import torch

import pyro_vae as pv


def model(y):
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    with pyro.plate("row", len(y)):
        pyro.sample("y", dist.Normal(z, 1.0), obs=y)


def exact(y, width=1.0, shift=0.0):
    idle = pyro.param("idle", torch.tensor(0.0))
    sd = (len(y) + 1) ** -0.5
    pyro.sample("z", dist.Normal(y.sum() * sd**2 + shift * sd + 0 * idle, width * sd))


def narrow(y):
    exact(y, width=0.5)


def high(y):
    exact(y, shift=0.7)


studies = {
    guide.__name__: pv.calibrate(
        model, guide, torch.zeros(5), simulations=100, method="sbc", steps=2, num_particles=2, stop=None, draws=200
    )
    for guide in (exact, narrow, high)
}
for study in studies.values():
    print(textwrap.fill(study.verdict, 78), end="\n\n")

# %%
# The narrow guide
# ----------------
#
# Too many truths lie in its tails, on both sides: the line rises first and falls below zero then.

studies["narrow"].plot()

# %%
# The high guide
# --------------
#
# Its draws lie above the truth too often: the line is above zero throughout.

studies["high"].plot()

# %%
# By bias alone
# -------------
#
# A narrow guide may still be right about the centre. ``method="vsbc"`` asks for that. (Given ``out="folder"``, the same
# call with ``resume=True`` would take the simulations from there.)

print(f"{'':10}p-value of uniform ranks   of symmetry   90 % interval holds the truth in")
for name, study in studies.items():
    row = study.summary().loc["z"]
    print(f"{name:10}{row['p_uniform']:24.4f}{row['p_symmetric']:14.4f}{100 * row['cover_90']:26.0f} %")
