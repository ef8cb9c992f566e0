"""A VAE written by hand in PyTorch, eager and under ``torch.compile``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.contenders import given
from tests.benchmarks.contenders.clock import per_step
from tests.benchmarks.contenders.networks import Decoder, Encoder, HandWritten

Measure = Callable[[], dict[str, float]]


def vae(sizes: tuple[int, int, int], batch: int, steps: int, loader: bool, compile: bool) -> Measure:
    """Time per step, with one batch again and again or a ``DataLoader``; Adam, its fused form."""
    torch.manual_seed(0)
    network = HandWritten(Encoder(*sizes), Decoder(*sizes))
    loss = torch.compile(network) if compile else network
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    images = torch.from_numpy(given.digits(50 * batch if loader else batch, sizes[0]))
    batches = DataLoader(TensorDataset(images), batch_size=batch, shuffle=True) if loader else [(images,)]

    def run(count: int) -> None:
        taken = 0
        while taken < count:
            for (x,) in batches:
                optimizer.zero_grad()
                loss(x).backward()
                optimizer.step()
                taken += 1
                if taken == count:
                    break

    run(20)
    return lambda: per_step(lambda: run(steps), steps)
