"""``draw``: K draws from a guide, scored under guide and model, as a table of sites. ``run_model``: the model alone.

Called by ``elbo``, ``posterior`` and ``potential``; needs Pyro. Discovery leaves the RNG and the param store as they
were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from pyro_vae.particles.data import Dream, Particles, Pass
from pyro_vae.particles.dreams import add_dreams
from pyro_vae.particles.handlers import Values, with_flat_priors
from pyro_vae.particles.passes import add_passes
from pyro_vae.particles.plan import Plan, plan_pair
from pyro_vae.particles.runs import Setting, run_pair
from pyro_vae.particles.table import stack_particles, tabulate


def draw(
    model: Callable,
    guide: Callable,
    args: tuple = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    num_particles: int = 1,
    passes: Collection[Pass | Dream] = (),
    vectorize: bool | None = None,
    values: Values | None = None,
    plan: Plan | None = None,
) -> Particles:
    """Draw K particles from the guide and score them under guide and model.

    Torch's generator is consumed exactly as Pyro's vectorised ELBO consumes it: same seed, same draws. One subsample
    per step is shared by all particles, guide and model. Discrete sites with ``infer={"enumerate": "parallel"}`` are
    not drawn: factors are exact expectations over those of the guide, and exact sums over those of the model alone; see
    :class:`~pyro_vae.particles.data.Site`.

    Args:
        model: a Pyro program.
        guide: a Pyro program, ``PyroModule``, autoguide or ``GuideMessenger``.
        args: positional arguments of both.
        kwargs: keyword arguments of both.
        num_particles: K.
        passes: further evaluations, see :class:`~pyro_vae.particles.data.Pass` and
            :class:`~pyro_vae.particles.data.Dream`.
        vectorize: None finds out whether particles can share one run; see :func:`~pyro_vae.particles.plan.plan_pair`.
        values: latent values ``{site: [K, *plates, *event]}`` to score instead of drawing them.
        plan: what :func:`~pyro_vae.particles.plan.plan_pair` found, to save finding it again.

    Returns:
        the :class:`~pyro_vae.particles.data.Particles`, log-probabilities ``[K, *plates]``.

    Raises:
        ModelError: naming the site or plate, when guide and model do not fit together.

    >>> import pyro, torch, pyro.distributions as dist
    >>> def model(x):
    ...     z = pyro.sample("z", dist.Normal(0., 1.))
    ...     pyro.sample("x", dist.Normal(z, 1.), obs=x)
    >>> def guide(x):
    ...     pyro.sample("z", dist.Normal(0.5 * x, 0.5**0.5))
    >>> pyro.set_rng_seed(0)
    >>> particles = draw(model, guide, (torch.tensor(1.0),), num_particles=3)
    >>> particles["z"].value.shape
    torch.Size([3])
    >>> particles.log_w()  # the guide is the posterior: every weight is the evidence, N(1; 0, 2)
    tensor([-1.5155, -1.5155, -1.5155])
    """
    kwargs = dict(kwargs or {})
    if plan is None:
        plan = plan_pair(model, guide, args, kwargs, num_particles=num_particles, vectorize=vectorize, passes=passes)
    stop = Pass.SCORE in passes
    tables: list[Particles] = []
    for setting in plan.settings(args, kwargs, num_particles, values):
        setting = replace(setting, subsamples=tables[0].subsamples if tables else {})
        run = run_pair(model, guide, setting, stop=stop)
        table = tabulate(run, stop=stop, shapes=plan.deterministic)
        tables.append(add_passes(table, run, model, guide, passes, plan))
    particles = stack_particles(tables)
    for dream in (asked for asked in passes if isinstance(asked, Dream)):
        particles = add_dreams(particles, model, guide, Setting(args, kwargs, subsamples=particles.subsamples), dream)
    return particles


def run_model(
    model: Callable,
    args: tuple = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    num_particles: int = 1,
    values: Values | None = None,
    predictive: bool = False,
    vectorize: bool | None = None,
    plan: Plan | None = None,
) -> Particles:
    """Run the model alone: latents at ``values`` (``[K, *plates, *event]``), from the prior where none is given.

    ``predictive`` draws the observed sites anew: their ``value`` is then ``[K, *plates, *event]``. ``values`` may
    also be a function of (name, distribution, plates). A flat prior, which has no draws, gives feasible starting points
    instead. Nothing is enumerated: a site that asks for it is drawn like others. Raises
    :class:`~pyro_vae.errors.ModelError` naming the site.

    >>> import pyro, torch, pyro.distributions as dist
    >>> def model():
    ...     z = pyro.sample("z", dist.Normal(0., 1.))
    ...     pyro.sample("x", dist.Normal(z, 1.), obs=torch.tensor(0.))
    >>> run_model(model, num_particles=2, values={"z": torch.tensor([0., 1.])}).log_p()
    tensor([-1.8379, -2.8379])
    """
    kwargs = dict(kwargs or {})
    if plan is None:
        plan = plan_pair(model, None, args, kwargs, num_particles=num_particles, vectorize=vectorize)
    model = with_flat_priors(model)
    tables: list[Particles] = []
    for setting in plan.settings(args, kwargs, num_particles, values):
        setting = replace(setting, subsamples=tables[0].subsamples if tables else {}, enumeration=None)
        run = run_pair(model, None, setting, draw_observations=predictive)
        tables.append(tabulate(run, shapes=plan.deterministic))
    return stack_particles(tables)
