"""
Is the autoencoder any good? A code that is lost, and one that is held
======================================================================

The program ``sentence_vae`` writes sentences of a small grammar. Its decoder reads its own words, and so it can reach
the best likelihood that there is without any help from z. What then becomes of the code is what ``pv.examine`` is
asked: once for a fit without a remedy, once for one with free bits."""

# %%
# Two fits
# --------
#
# ``Validation(..., terms=True)`` records the KL of every latent and the reconstruction term at every check: on the way,
# not in the end.

import sys

import torch
from torch.utils.data import DataLoader

import pyro_vae as pv

program = pv.load_program("sentence_vae")
grammar = sys.modules["pyro_vae_program_sentence_vae"]  # what the file offers beside the VAE
x, fresh, vocabulary = program.data["x"], grammar.text(300, seed=1), grammar.vocabulary()


def fitted(**remedy):
    """Fifteen epochs from seed 0: the VAE and the fit."""
    torch.manual_seed(0)
    vae = grammar.build(size=len(x))
    fit = pv.fit(
        vae.model, vae.guide, DataLoader(x, batch_size=128, shuffle=True), epochs=15, estimator=pv.AnalyticKL(),
        num_particles=1, learning_rate=3e-3, validation=pv.Validation(fresh, patience=None, terms=True), seed=0,
        **remedy,
    )  # fmt: skip
    return vae, fit


fits = {"no remedy": fitted(), "free bits": fitted(free_bits=3.0)}

# %%
# What becomes of the code
# ------------------------
#
# Sentences that neither fit has seen. The first line of each verdict is about the code. Where it is lost, the report
# says so, and what can be done about it. Where it is held, look at the third line as well: free bits keep the KL up,
# but much of it may be the distance of all codes together from the prior, and not what a code says of its sentence.

examined = {
    name: pv.examine(vae, grammar.text(300, seed=2), fit=fit, vocabulary=vocabulary, gap_rows=0, nuts_rows=0, seed=0)
    for name, (vae, fit) in fits.items()
}
for name, found in examined.items():
    print(f"{name}\n{found.verdict}\n")

# %%
# Over training
# -------------
#
# Without a remedy the KL of every latent falls to nothing within a few epochs, while the reconstruction term goes on
# rising.

lost = examined["no remedy"].figures()["terms"]

# %%
# With free bits it stays.

held = examined["free bits"].figures()["terms"]

# %%
# All of it, on one page: ``examined["free bits"].to_html("report.html")``, or ``pyro-vae report DIR`` for a run that
# ``pyro-vae fit`` made. What the numbers are is told in :doc:`/vae_report`.
