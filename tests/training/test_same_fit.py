"""``TraceELBO`` in ``SVI``, in a torch loop, in Lightning and in ``fit``: four ways to the same numbers."""

from __future__ import annotations

import logging

import pyro
import pyro.optim
import pytest
import torch
from pyro.infer import SVI
from pyro.infer.autoguide import AutoNormal
from torch.utils.data import DataLoader

from pyro_vae import TraceELBO, fit
from tests.pairs import hierarchy
from tests.training.programs import Y

STEPS, RATE, SEED = 40, 0.02, 5


def by_svi():
    guide = AutoNormal(hierarchy)
    svi = SVI(hierarchy, guide, pyro.optim.Adam({"lr": RATE}), loss=TraceELBO(num_particles=4))
    pyro.set_rng_seed(SEED)
    for _ in range(STEPS):
        svi.step(Y)
    return guide


def by_torch_loop():
    guide = AutoNormal(hierarchy)
    loss = TraceELBO(num_particles=4)(hierarchy, guide)
    pyro.set_rng_seed(SEED)
    with torch.random.fork_rng():
        loss(Y)  # makes the guide's parameters
    optimizer = torch.optim.Adam(loss.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(Y).backward()
        optimizer.step()
    return guide


def by_lightning():
    import lightning

    class Training(lightning.LightningModule):
        def __init__(self, guide):
            super().__init__()
            self.loss = TraceELBO(num_particles=4)(hierarchy, guide)
            pyro.set_rng_seed(SEED)
            with torch.random.fork_rng():
                self.loss(Y)

        def on_train_start(self):
            pyro.set_rng_seed(SEED)

        def training_step(self, batch, index):
            return self.loss(batch)

        def configure_optimizers(self):
            return torch.optim.Adam(self.loss.parameters(), lr=RATE)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    guide = AutoNormal(hierarchy)
    # The loader has a generator of its own: it draws a seed that the model would otherwise miss.
    data = DataLoader([Y] * STEPS, batch_size=None, generator=torch.Generator())  # pyright: ignore[reportArgumentType]
    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Training(guide), data)
    return guide


def by_fit():
    guide = AutoNormal(hierarchy)
    fit(
        hierarchy,
        guide,
        Y,
        num_particles=4,
        seed=SEED,
        optimizer=torch.optim.Adam,
        learning_rate=RATE,
        schedule="constant",
        steps=STEPS,
        stop=None,
        average=False,
    )
    return guide


@pytest.mark.filterwarnings("ignore::UserWarning:lightning", "ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("train", [by_torch_loop, by_lightning, by_fit])
def test_every_way_of_training_gives_svis_fit(train):
    expected = {name: value.detach().clone() for name, value in by_svi().named_parameters()}
    pyro.clear_param_store()
    found = dict(train().named_parameters())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # The optimisers' kernels differ in rounding (pyro.optim: one per parameter; fit: one for all).
        torch.testing.assert_close(found[name].detach(), value, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")
