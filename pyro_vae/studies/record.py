"""How a study was run: versions, machine, seed, options, times. Enough to run it again."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import xarray as xr

from pyro_vae.studies.options import Options

PACKAGES = ("torch", "pyro-ppl", "nutpie", "arviz-stats", "numpy")


class Record:
    """Takes the times while a study runs, and makes the table of it in the end."""

    def __init__(self, options: Options):
        self.options = options
        self.seconds: dict[str, float] = {}
        self.began = time.time()

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add the block's time to what it is called."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started

    def table(self, fits: Mapping[str, Any], baseline: xr.DataTree) -> dict[str, str]:
        """Everything in words, in the order in which a reader asks."""
        table = {"when": time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(self.began))}
        table |= self.options.said()
        for name, fit in fits.items():
            table[f"fit of {name}"] = (
                f"{fit.estimator!r}, {fit.num_particles} particles, {fit.steps} steps; {fit.reason}; "
                f"{'upper ' * fit.upper_bound}bound {fit.bound:.3f} ± {fit.bound_se:.3f}"
            )
        table["baseline"] = _drawn(baseline)
        table |= {f"time of {what}": f"{seconds:.1f} s" for what, seconds in self.seconds.items()}
        return table | versions()


def _drawn(baseline: xr.DataTree) -> str:
    """How the baseline's draws were made, as far as they say."""
    sizes, attrs = baseline["posterior"].sizes, baseline.attrs
    said = [str(attrs.get("engine", "draws as given")), f"{sizes.get('chain', 1)} x {sizes.get('draw', 0)} draws"]
    labels = {"warmup": "{} warm-up", "target_accept": "target_accept {}", "seed": "seed {}", "seconds": "{} s"}
    said += [label.format(attrs[name]) for name, label in labels.items() if name in attrs]
    return ", ".join(said)


def versions() -> dict[str, str]:
    """The versions of what takes part, and the machine."""
    import pyro_vae

    found = {"pyro-vae": pyro_vae.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # vendored, or run from a source tree
            continue
    found["machine"] = f"{platform.system()} {platform.machine()}"
    return found
