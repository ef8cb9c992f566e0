"""Why a step could not be taken, in words that name the sites."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyro
import torch
from torch import Tensor

from pyro_vae.elbo import TraceELBO
from pyro_vae.errors import PyroVaeError
from pyro_vae.particles.data import Particles
from pyro_vae.particles.tracing import draw
from pyro_vae.training.objective import Objective
from pyro_vae.training.step import Fault


def explain(fault: Fault, objective: Objective, params: Mapping[str, Tensor], step: int) -> str:
    """One paragraph: the step, what was not finite, the sites and parameters at fault, what to do.

    ``params`` are those of the failed step; its draws are made again from the same random numbers.
    """
    broken = [name for name, leaf in params.items() if not bool(torch.isfinite(leaf).all())]
    if fault.kind == "gradient":
        what = f"The gradient became NaN or infinite at step {step}, for parameters {_listed(fault.parameters)}."
    elif fault.kind == "error":
        what = f"Step {step} failed: {fault.error}"
    else:
        what = f"The bound became NaN or infinite at step {step}."
    sites = [] if fault.kind == "error" else _sites_at_fault(fault, objective)
    lines = [what]
    if sites:
        lines.append(f"At fault: {_listed(sites)}.")
    elif fault.kind == "gradient":
        lines.append("Every site's log-probability is finite there: look for a square root, log or division at 0.")
    if broken:
        lines.append(f"Parameters that are no longer finite: {_listed(broken)}.")
    lines.append(
        "The last good parameters are kept. Try a smaller learning_rate, clip=10.0, or other initial values (init=...)."
    )
    return " ".join(lines)


def _sites_at_fault(fault: Fault, objective: Objective) -> list[str]:
    """The sites of the failed step whose value or log-probability is not finite."""
    args, kwargs = fault.arguments
    elbo = objective.elbo
    count = elbo.num_particles
    with torch.random.fork_rng(devices=[]), torch.no_grad(), pyro.validation_enabled(False):
        if fault.random is not None:
            torch.set_rng_state(fault.random)
        try:
            if isinstance(elbo, TraceELBO):
                particles = elbo.particles(objective.model, objective.guide, *args, **kwargs)
            else:
                particles = draw(objective.model, objective.guide, args, kwargs, num_particles=count)
        except PyroVaeError:
            return []
    return _nonfinite(particles)


def _nonfinite(particles: Particles) -> list[str]:
    checks: tuple[tuple[str, Callable], ...] = (
        ("its value", lambda site: site.value),
        ("log q", lambda site: site.log_q.log_prob if site.log_q is not None else None),
        ("log p", lambda site: site.log_p.log_prob if site.log_p is not None else None),
    )
    found = []
    for name, site in particles.sites.items():
        bad = [label for label, read in checks if (value := read(site)) is not None and not _finite(value)]
        if bad:
            found.append(f"site '{name}' ({', '.join(bad)})")
    return found


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _listed(names: tuple[str, ...] | list[str], most: int = 6) -> str:
    shown = [name if name.startswith("site ") else f"'{name}'" for name in names[:most]]
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + rest
