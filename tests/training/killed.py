"""A small VAE fitted on shuffled minibatches, with dropout, an annealing, restarts and validation: to be killed."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import pyro_vae as pv
from pyro_vae.nets import MLP
from pyro_vae.training import evaluation


def killable_fit(checkpoint):
    """The fit, and all of its outcome as a tree."""
    torch.set_num_threads(1)
    evaluation.EVALUATIONS = 4
    torch.manual_seed(0)
    latent, likelihood = pv.vae.latents.Gaussian(2), pv.vae.likelihoods.Bernoulli(12)
    encoder = nn.Sequential(MLP(12, 16, hidden=()), nn.Dropout(0.2), nn.ReLU(), nn.Linear(16, latent.num_parameters))
    vae = pv.VAE(encoder, MLP(latent.code_size, 12, hidden=(16,)), latent, likelihood, size=120)
    x = (torch.rand(150, 12) < torch.rand(150, 1)).float()
    result = pv.fit(
        vae.model,
        vae.guide,
        DataLoader(TensorDataset(x[:120]), batch_size=25, shuffle=True),
        num_particles=2,
        steps=160,
        restarts=2,
        learning_rate=0.003,
        annealing=pv.LinearAnnealing(40),
        validation=pv.Validation(DataLoader(TensorDataset(x[120:]), batch_size=16), every=40, patience=None),
        seed=0,
        progress=False,
        checkpoint=checkpoint,
        checkpoint_every=10,
        resume=True,
    )
    history = result.history
    return {
        "values": result.values,
        "buffers": result.objective.buffers(),
        "history": torch.from_numpy(history.rows()[:, [0, 1, 2, 4]]),  # all but the clock
        "validation": torch.from_numpy(result.validation),
        "words": [result.bound, result.bound_se, result.reason, result.averaged],
    }
