"""Rows per second of a VAE in one process and in two, one thread each: ``python -m tests.benchmarks.two_processes``.

One process and two take turns, several times, and the median ratio counts. Beside the clock's, which says something on
a machine with two idle cores only, stands the ratio by each process's own CPU time, which other programs do not change.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pyro
import torch
from torch.utils.data import DataLoader, TensorDataset

import pyro_vae as pv
from pyro_vae.nets import MLP

BATCH, STEPS, WARM, ROUNDS = 256, 80, 20, 3


def rows_per_second(processes: int) -> tuple[float, float]:
    """Of all processes together, by the clock and by the CPU time of this one, once the first steps are over."""
    torch.set_num_threads(1)
    taken = {}
    for steps in (WARM, WARM, STEPS):  # the first imports; what a fit does around its steps is the same in the others
        started = time.process_time()
        result = fitted(processes, steps)
        taken[steps] = time.process_time() - started
    seconds = result.history.seconds
    rows = processes * BATCH * (STEPS - WARM)
    return rows / (seconds[-1] - seconds[WARM - 1]), rows / (taken[STEPS] - taken[WARM])


def fitted(processes: int, steps: int) -> pv.Fit:
    """A VAE on rows of the size of an MNIST digit."""
    pyro.clear_param_store()
    torch.manual_seed(0)
    latent, likelihood = pv.vae.latents.Gaussian(20), pv.vae.likelihoods.Bernoulli(784)
    hidden = (400, 400)
    encoder = MLP(784, latent.num_parameters, hidden=hidden)
    vae = pv.VAE(encoder, MLP(latent.code_size, 784, hidden=hidden), latent, likelihood, size=10_000)
    loader = DataLoader(TensorDataset((torch.rand(10_000, 784) < 0.3).float()), BATCH, shuffle=True)
    fabric = {"accelerator": "cpu", "devices": processes}
    options = {"steps": steps, "stop": None, "average": False, "num_particles": 1, "learning_rate": 1e-3}
    return pv.fit(vae.model, vae.guide, loader, fabric=fabric, seed=0, progress=False, compile=False, **options)


def in_processes(count: int) -> tuple[float, ...]:
    """The two rates, measured in processes of their own."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    alone = [sys.executable] if count == 1 else launch
    done = subprocess.run(
        [*alone, "-m", "tests.benchmarks.two_processes", str(count)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("rates ")]
    return tuple(min(float(rates[index]) for rates in lines) for index in range(2))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        clock, cpu = rows_per_second(int(sys.argv[1]))
        if os.environ.get("RANK", "0") == "0":
            print(f"rates {clock} {cpu}")  # noqa: T201
        sys.exit()
    ratios = []
    for _ in range(ROUNDS):
        one, two = in_processes(1), in_processes(2)
        ratios.append([more / less for more, less in zip(two, one, strict=True)])
        print(f"rows/s: {one[0]:,.0f} in one process, {two[0]:,.0f} in two; by CPU time {one[1]:,.0f}, {two[1]:,.0f}")  # noqa: T201
    clock, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"two processes against one, median of {ROUNDS}: {clock:.2f} by the clock, {cpu:.2f} by CPU time")  # noqa: T201
