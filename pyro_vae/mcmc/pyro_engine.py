"""NUTS by Pyro itself: the reference engine. Chains run one after the other, on the same potential."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyro
import torch
from pyro.infer.mcmc import MCMC, NUTS
from torch import Tensor

from pyro_vae.mcmc.chains import Chains, Settings, even
from pyro_vae.particles.state import unobserved
from pyro_vae.potential import Potential


def sample(potential: Potential, settings: Settings) -> Chains:
    """Sample chains of Pyro's ``NUTS`` on the compiled potential; the global random state stays as it was.

    After Ctrl-C, the draws so far are given back. Raises ``KeyboardInterrupt`` when there is none to keep.
    """
    begin = time.perf_counter()
    starts = potential.initial(settings.chains, settings.seed, settings.init)
    logs: list[_Log] = []
    interrupted = False
    for chain, start in enumerate(starts):
        kernel = _Kernel(potential, settings.target_accept)
        logs.append(kernel.log)
        run = MCMC(
            kernel,
            settings.draws,
            settings.warmup,
            initial_params={"flat": torch.from_numpy(start)},
            hook_fn=kernel.record,
            disable_progbar=not settings.progress,
        )
        try:
            with unobserved():
                pyro.set_rng_seed(int(np.random.default_rng([settings.seed, chain]).integers(2**31)))
                run.run()
        except KeyboardInterrupt:
            interrupted = True
            break
    kept, length = even([len(log.rows) for log in logs])
    if length == 0:
        raise KeyboardInterrupt("NUTS was stopped during warm-up: there are no draws to keep.")
    flat = np.stack([np.stack(logs[chain].draws[:length]) for chain in kept])
    stats = {name: np.array([[row[name] for row in logs[c].rows[:length]] for c in kept]) for name in logs[0].rows[0]}
    return Chains(flat, stats, time.perf_counter() - begin, interrupted)


class _Log:
    """The draws of one chain after warm-up, and their statistics."""

    def __init__(self) -> None:
        self.draws: list[np.ndarray] = []
        self.rows: list[dict[str, Any]] = []


class _Kernel(NUTS):
    """Pyro's NUTS, which forgets most of its statistics, with a log of them."""

    def __init__(self, potential: Potential, target_accept: float):
        self.log = _Log()
        self.steps = 0
        self.energy = 0.0
        self.mean_before = 0.0

        def energy(params: dict[str, Tensor]) -> Tensor:
            self.steps += 1
            return _Energy.apply(params["flat"], potential)  # type: ignore[return-value]

        super().__init__(potential_fn=energy, target_accept_prob=target_accept)

    def _sample_r(self, name: str) -> Any:
        momentum, unscaled = super()._sample_r(name)
        self.steps = 0
        self.energy = float(self._kinetic_energy(unscaled)) + self._potential()
        return momentum, unscaled

    def _potential(self) -> float:
        last: Any = self._potential_energy_last
        return float(last)

    def record(self, kernel: NUTS, params: dict[str, Tensor], stage: str, index: int) -> None:
        """Pyro's hook, called after every transition. Its acceptance rate is a running mean: take the last one out."""
        if stage.lower().startswith("warmup"):
            self.mean_before = 0.0
            return
        count = index + 1
        mean = self._mean_accept_prob
        depth = int(np.log2(self.steps + 1))
        self.log.draws.append(params["flat"].detach().numpy().copy())
        self.log.rows.append(
            {
                "lp": -self._potential(),
                "diverging": bool(self._divergences) and self._divergences[-1] == index,
                "energy": self.energy,
                "tree_depth": depth,
                "reached_max_treedepth": depth >= self._max_tree_depth,
                "n_steps": self.steps,
                "step_size": float(self.step_size),
                "acceptance_rate": float(np.clip(count * mean - index * self.mean_before, 0, 1)),
            }
        )
        self.mean_before = mean


class _Energy(torch.autograd.Function):
    """The negative log density as torch sees it, with the gradient that the compiled function gives."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, potential: Potential) -> Tensor:  # type: ignore[override]
        value, gradient = potential.value_and_grad(flat.detach().numpy())
        ctx.save_for_backward(torch.from_numpy(-gradient))
        return flat.new_tensor(-value)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None
