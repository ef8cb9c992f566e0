"""How often a model is evaluated in a block: what a gradient costs, whatever the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyro.poutine.messenger import Messenger

from pyro_vae.particles.handlers import PARTICLES


class Evaluations(Messenger):
    """Counts how often a site of the model is reached, particles that run together each for itself."""

    def __init__(self, site: str):
        super().__init__()
        self.site = site
        self.count = 0

    def _pyro_sample(self, msg: dict) -> None:
        if msg["name"] == self.site:
            sizes = [frame.size for frame in msg["cond_indep_stack"] if frame.name == PARTICLES]
            self.count += sizes[0] if sizes else 1


@contextmanager
def counted_evaluations(site: str) -> Iterator[Evaluations]:
    """Count the model's evaluations in the block by those of one of its sites; an observed one is in no guide.

    >>> import pyro, torch, pyro.distributions as dist
    >>> with counted_evaluations("x") as evaluations:
    ...     for _ in range(3):
    ...         _ = pyro.sample("x", dist.Normal(0.0, 1.0), obs=torch.tensor(1.0))
    >>> evaluations.count
    3
    """
    with Evaluations(site) as counter:
        yield counter
