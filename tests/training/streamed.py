"""Rows in one file on disk, read a piece at a time; and the peak memory of a fit on them.

``python -m tests.training.streamed FILE ROWS`` writes that many rows, fits, and prints the peak of its memory in bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

import pyro_vae as pv
from pyro_vae.nets import MLP

WIDTH = 16
PIECE = 4096  # rows in memory at once


def write_rows(path: str, rows: int) -> None:
    """Rows of noise around a line, written piece by piece."""
    generator = np.random.default_rng(0)
    direction = generator.normal(size=WIDTH)
    with Path(path).open("wb") as file:
        for start in range(0, rows, PIECE):
            count = min(PIECE, rows - start)
            values = generator.normal(size=(count, 1)) * direction + 0.3 * generator.normal(size=(count, WIDTH))
            values.astype(np.float32).tofile(file)


class Rows(IterableDataset):
    """Pieces of a file in a random order, the rows of each in a random order."""

    def __init__(self, path: str, rows: int):
        self.path, self.rows, self.epoch = path, rows, 0

    def __len__(self) -> int:
        return self.rows

    def __iter__(self):
        order = np.random.default_rng(self.epoch)
        self.epoch += 1
        with Path(self.path).open("rb") as file:
            for piece in order.permutation(-(-self.rows // PIECE)):
                file.seek(int(piece) * PIECE * WIDTH * 4)
                values = np.fromfile(file, np.float32, PIECE * WIDTH).reshape(-1, WIDTH)
                yield from torch.from_numpy(order.permutation(values))


def stream_fit(path: str, rows: int, **options) -> pv.Fit:
    """One pass over the file."""
    torch.manual_seed(0)
    latent, likelihood = pv.vae.latents.Gaussian(1), pv.vae.likelihoods.Gaussian(WIDTH, scale=0.3)
    encoder, decoder = MLP(WIDTH, latent.num_parameters), MLP(latent.code_size, likelihood.raw_shape)
    vae = pv.VAE(encoder, decoder, latent, likelihood, size=rows)
    loader = DataLoader(Rows(path, rows), batch_size=500)
    base = {"epochs": 1, "num_particles": 1, "learning_rate": 1e-3, "stop": None, "average": False, "seed": 0}
    return pv.fit(vae.model, vae.guide, loader, **{**base, **options})


def peak() -> int:
    """The most memory that this process has had for itself, in bytes (file pages that can be dropped are not in it)."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(status["VmHWM"].split()[0])


if __name__ == "__main__":
    torch.set_num_threads(1)
    path, rows = sys.argv[1], int(sys.argv[2])
    write_rows(path, rows)
    result = stream_fit(path, rows)
    print(peak(), result.steps, result.bound / rows)  # noqa: T201
