"""What contenders measure alike: time per step, memory, the worst effective sample size."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MICRO = 1e6
_STATUS = Path("/proc/self/status")


def per_step(run: Callable[[], Any], steps: int) -> dict[str, float]:
    """Microseconds per step of a ``run`` of that many."""
    begin = time.perf_counter()
    run()
    return {"step": (time.perf_counter() - begin) / steps * MICRO}


def worst_ess(draws: dict[str, np.ndarray]) -> float:
    """The bulk effective sample size of the scalar parameter that has least, of ``{site: [chain, draw, ...]}``."""
    from arviz_stats.base import array_stats

    flat = [np.asarray(value, dtype=np.float64).reshape(*value.shape[:2], -1) for value in draws.values()]
    return float(np.min(array_stats.ess(np.moveaxis(np.concatenate(flat, 2), 2, 0), method="bulk")))


def sampled(draws: dict[str, np.ndarray], gradients: float, seconds: float) -> dict[str, float]:
    """What is said of one run of NUTS; ``gradients`` are those of the draws that are kept."""
    ess = worst_ess(draws)
    return {"per_second": ess / seconds, "per_gradient": ess / gradients, "ess": ess, "seconds": seconds}


class Memory:
    """The most megabytes that a process took beyond what it had when this was made; NaN where it is not Linux."""

    def __init__(self) -> None:
        if not _STATUS.exists():
            return
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
        self.before = _status("VmRSS")

    def most(self) -> float:
        """The highest since."""
        return _status("VmHWM") - self.before if _STATUS.exists() else float("nan")


def _status(key: str) -> float:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024
