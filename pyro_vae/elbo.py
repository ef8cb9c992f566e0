"""The estimators as a ``pyro.infer.ELBO``: at home in ``SVI``, with torch optimisers and in Lightning."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pyro.infer
import torch
from pyro.infer.elbo import ELBOModule
from torch import Tensor, nn

from pyro_vae.errors import OptionError
from pyro_vae.estimators.annealing import Annealing
from pyro_vae.estimators.base import Estimate, Estimator
from pyro_vae.estimators.names import by_name
from pyro_vae.estimators.reparameterized import Reparameterized
from pyro_vae.estimators.weighting import Weighting
from pyro_vae.particles.data import Particles
from pyro_vae.particles.plan import Plan, plan_pair
from pyro_vae.particles.tracing import draw

_CONTROL = "estimator_control"  # its name in the param store


class _LossModule(ELBOModule):
    """Pyro's module of a loss, with what the estimator learns among its children."""

    elbo: TraceELBO

    def __init__(self, model: Any, guide: Any, elbo: TraceELBO):
        super().__init__(model, guide, elbo)
        if elbo.weighting is not None:
            self.weighting = elbo.weighting

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The differentiable loss of one draw."""
        loss = super().forward(*args, **kwargs)
        if self.elbo.control is not None and "control" not in self._modules:
            self.control = self.elbo.control
        return loss


class _Learnt(nn.Module):
    """What an estimator has learned: in one place for an objective and its unweighted twin, and copied as a module."""

    control: nn.Module | None

    def __init__(self) -> None:
        super().__init__()
        self.register_module("control", None)
        self.started = False


class TraceELBO(pyro.infer.ELBO):
    r"""A variational objective with the gradient estimator of your choice.

    .. math:: \mathcal L(\theta, \phi) = \mathbb E_{q_\phi}\bigl[\log p_\theta(x, z) - \log q_\phi(z)\bigr] \le
              \log p_\theta(x)

    Works wherever a ``pyro.infer.ELBO`` works: ``SVI(model, guide, optim, loss=TraceELBO(...))``, or ``loss =
    TraceELBO(...)(model, guide)`` and ``loss(data).backward()`` with torch optimisers and Lightning. Plates are
    found, not asked for.

    Args:
        estimator: an :class:`~pyro_vae.estimators.Estimator` or its name; default
            :class:`~pyro_vae.estimators.Reparameterized`.
        num_particles: K, the draws per step.
        vectorize: None finds out whether all K can share one run of guide and model; True insists; False runs them
            one by one.
        beta: what the latents' terms (their log p, log q, KL, entropy) are multiplied by, as under ``poutine.scale``:
            above 1 for a beta-VAE. What :class:`~pyro_vae.WakeSleep`'s guide learns asleep is not weighted.
        annealing: :class:`~pyro_vae.LinearAnnealing` or :class:`~pyro_vae.CyclicalAnnealing`, a factor on ``beta``
            that changes with the number of gradients taken. The count is the objective's own.
        free_bits: nats below which a latent's KL counts as that many and gives no gradient. The KL is a mean over rows,
            and rows that are masked out count as 0 in it: give the threshold times the share of rows that are there.

    With any of the last three, ``bound`` and the loss are the value of the weighted objective, a bound no longer;
    :meth:`unweighted` gives the objective without them.

    Raises:
        OptionError: naming the option.
        ModelError: naming the site or plate, when guide and model do not fit together.
        EstimatorError: naming the site that the estimator cannot take.

    >>> import pyro, torch, pyro.distributions as dist
    >>> def model(x):
    ...     z = pyro.sample("z", dist.Normal(0.0, 1.0))
    ...     pyro.sample("x", dist.Normal(z, 1.0), obs=x)
    >>> guide = pyro.infer.autoguide.AutoNormal(model)
    >>> optimiser = pyro.optim.Adam({"lr": 0.01})
    >>> pyro.set_rng_seed(0)
    >>> svi = pyro.infer.SVI(model, guide, optimiser, loss=TraceELBO(num_particles=32))
    >>> losses = [svi.step(torch.tensor(2.0)) for _ in range(600)]
    >>> round(guide.median()["z"].item(), 1)  # the posterior mean is 1
    1.0
    """

    def __init__(
        self,
        estimator: Estimator | str | None = None,
        num_particles: int = 1,
        *,
        vectorize: bool | None = None,
        beta: float = 1.0,
        annealing: Annealing | None = None,
        free_bits: float | None = None,
    ):
        if isinstance(num_particles, bool) or not isinstance(num_particles, int) or num_particles < 1:
            raise OptionError(f"num_particles: expected a positive integer, got {num_particles!r}.")
        super().__init__(num_particles=num_particles, vectorize_particles=vectorize is not False)
        self.estimator = Reparameterized() if estimator is None else by_name(estimator)
        self.vectorize = vectorize
        weighting = Weighting(beta, annealing, free_bits)
        self.weighting = None if (beta, annealing, free_bits) == (1.0, None, None) else weighting
        self._learnt = _Learnt()
        self._planned: tuple[Callable, Callable, Plan] | None = None

    def __call__(self, model: Callable, guide: Callable) -> ELBOModule:
        """The loss as a module: its parameters are the model's, the guide's and what the estimator learns.

        As with an autoguide, what is made lazily is there after the first call: call it once before ``parameters()``.
        """
        return _LossModule(model, guide, self)

    def __repr__(self) -> str:
        return f"TraceELBO({self.estimator}, num_particles={self.num_particles})"

    @property
    def control(self) -> nn.Module | None:
        """What the estimator learns or remembers; None before the first draw, and where it is nothing."""
        return self._learnt.control

    @control.setter
    def control(self, control: nn.Module | None) -> None:
        self._learnt.control = control

    def unweighted(self) -> TraceELBO:
        """The same objective, with what it has learned, at ``beta`` 1 and without free bits."""
        if self.weighting is None:
            return self
        plain = copy.copy(self)
        plain.weighting = None
        return plain

    def plan(self, model: Callable, guide: Callable, *args: Any, **kwargs: Any) -> Plan:
        """What is known of the pair: found at the first call for it, with RNG and param store left alone."""
        if self._planned is None or self._planned[0] != model or self._planned[1] != guide:
            found = plan_pair(
                model,
                guide,
                args,
                kwargs,
                num_particles=self.num_particles,
                vectorize=self.vectorize,
                passes=self.estimator.passes,
            )
            self._planned = (model, guide, found)
        return self._planned[2]

    def particles(self, model: Callable, guide: Callable, *args: Any, **kwargs: Any) -> Particles:
        """K draws with the passes that the estimator needs."""
        plan = self.plan(model, guide, *args, **kwargs)
        return draw(
            model, guide, args, kwargs, num_particles=self.num_particles, passes=self.estimator.passes, plan=plan
        )

    def estimate(self, model: Callable, guide: Callable, *args: Any, **kwargs: Any) -> Estimate:
        """One gradient estimate: two losses and the detached bound."""
        return self.estimate_from(self.particles(model, guide, *args, **kwargs))

    def estimate_from(self, particles: Particles) -> Estimate:
        """The estimate from draws that :meth:`particles` made."""
        if self.weighting is not None:
            particles = self.weighting(particles)
        estimate = self.estimator(particles, self._start(particles))
        if torch.is_grad_enabled() and self.weighting is not None:
            self.weighting.advance()
        if torch.is_grad_enabled() and self.control is not None:
            buffers = dict(self.control.named_buffers())
            for name, value in estimate.control_state.items():
                buffers[name].copy_(value)
        return estimate

    def _start(self, particles: Particles) -> nn.Module | None:
        """What the estimator learns or remembers, made at the first draw and known to the param store."""
        if not self._learnt.started:
            self.control, self._learnt.started = self.estimator.init(particles), True
        if self.control is not None and any(True for _ in self.control.parameters()):
            _register(self.control)
        return self.control

    def differentiable_loss(self, model: Callable, guide: Callable, *args: Any, **kwargs: Any) -> Tensor:
        """A scalar whose gradient is the estimator's; its value is -bound, or the bound where it is an upper one."""
        return self.estimate(model, guide, *args, **kwargs).loss()

    def loss_and_grads(self, model: Callable, guide: Callable, *args: Any, **kwargs: Any) -> float:
        """Backpropagate one estimate; returns the loss's value."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        if loss.requires_grad:
            loss.backward(retain_graph=self.retain_graph)
        return loss.item()

    def loss(self, model: Callable, guide: Callable, *args: Any, **kwargs: Any) -> float:
        """The loss's value, without gradients."""
        with torch.no_grad():
            return self.estimate(model, guide, *args, **kwargs).value.item()

    def _get_trace(self, model: Callable, guide: Callable, args: tuple, kwargs: dict) -> tuple[Any, Any]:
        """The two traces of one run, for tools that ask an ELBO for them."""
        guide_trace = pyro.poutine.trace(guide).get_trace(*args, **kwargs)
        model_trace = pyro.poutine.trace(pyro.poutine.replay(model, trace=guide_trace)).get_trace(*args, **kwargs)
        return model_trace, guide_trace


def _register(control: nn.Module) -> None:
    """Put the control's own parameters in the param store. Those of another objective are taken out: under the same
    names the store would keep them, and this one would never learn."""
    store = pyro.get_param_store()
    own = {f"{_CONTROL}$$${name}": parameter for name, parameter in control.named_parameters()}
    kept = {name: leaf for name, leaf in store.named_parameters() if name.startswith(f"{_CONTROL}$$$")}
    if any(own.get(name) is not leaf for name, leaf in kept.items()):
        for name in kept:
            del store[name]
    pyro.module(_CONTROL, control)
