"""Small problems whose ELBO and gradient are known exactly, as plain tensors: no Pyro."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Normal, OneHotCategorical, kl_divergence

from pyro_vae.particles import Factor, Particles, Pass, Plate, Site


@dataclass(frozen=True)
class Again:
    """How a table is made again: values that are given, uniform numbers to draw the others from, and the temperature
    at which bits among them are relaxed."""

    given: Mapping[str, Tensor] = field(default_factory=dict)
    uniform: Mapping[str, Tensor] = field(default_factory=dict)
    temperature: Tensor | float | None = None

    def value(self, name: str, q: Distribution) -> Tensor | None:
        """The value of a latent site; None where it is to be drawn for the first time."""
        if name not in self.uniform:
            return self.given.get(name)
        uniform = self.uniform[name]
        if isinstance(q, Normal):
            return q.icdf(uniform)
        if self.temperature is None:
            return (uniform < q.probs).to(uniform.dtype)
        return torch.sigmoid((q.logits + torch.logit(uniform)) / self.temperature)


FIRST = Again()


@dataclass(frozen=True)
class Problem:
    """``draw(params, K, passes)`` gives particles, ``elbo(params)`` the exact bound, a differentiable function of
    ``params``. ``families`` are the guide's."""

    name: str
    params: Callable[[], dict[str, Tensor]] = field(repr=False)
    draw: Callable[[dict[str, Tensor], int, frozenset[Pass]], Particles] = field(repr=False)
    elbo: Callable[[dict[str, Tensor]], Tensor] = field(repr=False)
    families: frozenset[str]


def _leaf(*numbers: float, dtype: torch.dtype = torch.float64) -> Tensor:
    value = torch.tensor(numbers, dtype=dtype)
    return (value[0] if len(numbers) == 1 else value).clone().requires_grad_(True)


def _latent(
    name: str,
    q: Distribution,
    K: int,
    passes: frozenset[Pass],
    log_p: Callable[[Tensor], Tensor],
    plates: tuple[Plate, ...] = (),
    prior: Distribution | None = None,
    again: Again = FIRST,
) -> Site:
    stop = Pass.SCORE in passes
    names = ("loc", "scale") if isinstance(q, Normal) else ("logits",)
    shape = (K, *(plate.size for plate in plates), *q.event_shape)
    live = {key: getattr(q, key).expand(shape) for key in names}
    q = type(q)(**live, validate_args=False)
    value = again.value(name, q)
    if value is None:
        value = q.rsample() if q.has_rsample else q.sample()
        value = value.detach() if stop else value
    log_q = (value * q.logits).sum(-1) if isinstance(q, OneHotCategorical) else q.log_prob(value)
    asked = Pass.PARAMETERS in passes
    scores = torch.autograd.grad(log_q.sum(), list(live.values()), retain_graph=True) if asked else ()
    return Site(
        name,
        value,
        log_p=Factor(log_p(value), plates),
        log_q=Factor(log_q, plates),
        reparameterised=q.has_rsample and not stop,
        kl=Factor(kl_divergence(q, prior).expand(shape), plates) if Pass.KL in passes and prior else None,
        entropy=Factor(q.entropy().expand(log_q.shape), plates) if Pass.ENTROPY in passes else None,
        baseline_input=torch.tensor([0.3, -1.0], dtype=value.dtype),
        parameters=live if asked else {},
        scores=dict(zip(names, scores, strict=True)) if asked else {},
        family=type(q).__name__,
        canonical=live,
    )


Build = Callable[[int, Again], Particles]


def _with_reruns(particles: Particles, passes: frozenset[Pass], below: Mapping[str, str], build: Build) -> Particles:
    """What ``Pass.RERUN`` gives. ``below`` names, for every latent site, the latent sites that are drawn from it;
    ``build(K, given)`` makes the table again from given values."""
    if Pass.RERUN not in passes:
        return particles
    sites = dict(particles.sites)
    for site in particles.latent:
        after = {*below[site.name].split(), site.name, "x"}
        sites[site.name] = replace(
            site,
            noise=torch.rand(4, *site.value.shape, dtype=site.log_q.log_prob.dtype),
            downstream=frozenset((kind, name) for kind in "pq" for name in after),
            rerun=_Rerun(particles, site.name, below[site.name].split(), build),
        )
    return replace(particles, sites=sites)


class _Rerun:
    def __init__(self, particles: Particles, site: str, below: list[str], build: Build):
        self.site, self.build, self.count = site, build, particles.num_particles
        kept = [other for other in particles.latent if other.name not in (site, *below)]
        self.given = {other.name: other.value.detach() for other in kept}
        self.uniform = {name: torch.rand_like(particles[name].value) for name in below}
        self.downstream = frozenset((kind, name) for kind in "pq" for name in (*below, site, "x"))

    def __call__(self, values: Tensor, temperature: Tensor | float | None = None) -> Particles:
        times = len(values) // self.count
        given, uniform = (
            {name: value.repeat(times, *(1,) * (value.dim() - 1)) for name, value in numbers.items()}
            for numbers in (self.given, self.uniform)
        )
        table = self.build(len(values), Again({**given, self.site: values}, uniform, temperature))
        site = replace(table[self.site], downstream=self.downstream)
        return replace(table, sites={**table.sites, self.site: site})


def everywhere(particles: Particles, change: Callable[[Particles, int], Particles]) -> Particles:
    """A change of a table, made in it and in what its reruns give; ``change`` is told how many reruns lie in it."""
    changed = change(particles, 1)

    def rerun_of(rerun):
        def changed_rerun(values, temperature=None):
            times = len(values) // particles.num_particles
            return change(rerun(change_back(values, times), temperature), times)

        return changed_rerun

    change_back = getattr(change, "back", lambda values, times: values)
    sites = {name: replace(site, rerun=site.rerun and rerun_of(site.rerun)) for name, site in changed.sites.items()}
    return replace(changed, sites=sites)


# -- one Gaussian latent, Gaussian likelihood, a model parameter --------------------------------------------------


def _gaussian_params() -> dict[str, Tensor]:
    return {"loc": _leaf(0.4), "log_scale": _leaf(-0.3), "theta": _leaf(0.7)}


def _gaussian_draw(p: dict[str, Tensor], K: int, passes: frozenset[Pass], again: Again = FIRST) -> Particles:
    prior = Normal(p["theta"], torch.ones((), dtype=p["loc"].dtype))
    scale = p["log_scale"].exp()
    z = _latent("z", Normal(p["loc"], scale), K, passes, prior.log_prob, prior=prior, again=again)
    if Pass.FROZEN_GUIDE in passes:
        z = replace(z, log_q_frozen=Factor(Normal(p["loc"].detach(), scale.detach()).log_prob(z.value)))
    x = Site("x", torch.tensor(1.5), log_p=Factor(Normal(z.value, 0.8).log_prob(torch.tensor(1.5))), observed=True)
    if Pass.FROZEN_MODEL in passes:
        stopped = Normal(p["theta"].detach(), prior.scale).log_prob(z.value)
        z, x = replace(z, log_p_frozen=Factor(stopped)), replace(x, log_p_frozen=x.log_p)
    table = Particles({"z": z, "x": x}, K)
    return _with_reruns(table, passes, {"z": ""}, lambda count, again: _gaussian_draw(p, count, frozenset(), again))


def _gaussian_elbo(p: dict[str, Tensor]) -> Tensor:
    scale = p["log_scale"].exp()
    expected = -0.5 * math.log(2 * math.pi * 0.64) - ((1.5 - p["loc"]) ** 2 + scale**2) / (2 * 0.64)
    return expected - kl_divergence(Normal(p["loc"], scale), Normal(p["theta"], 1.0))


# -- three Bernoullis, correlated in the model, enumerated --------------------------------------------------------

_BITS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)


def _bernoulli_params() -> dict[str, Tensor]:
    return {"logits": _leaf(0.3, -0.8, 1.1), "theta": _leaf(0.5, -0.4)}


def _log_joint(bits: Tensor, theta: Tensor) -> Tensor:
    first, second, third = bits.unbind(-1)
    return theta[0] * first * second - (third - theta[1]) ** 2 + torch.sin(first + 2 * third) - 1.0


def _bernoulli_draw(p: dict[str, Tensor], K: int, passes: frozenset[Pass], again: Again = FIRST) -> Particles:
    plate = (Plate("bits", 3, 3),)
    z = _latent("z", Bernoulli(logits=p["logits"]), K, passes, lambda value: 0.0 * value, plate, again=again)
    x = Site("x", torch.zeros(()), log_p=Factor(_log_joint(z.value, p["theta"])), observed=True)
    table = Particles({"z": z, "x": x}, K)
    return _with_reruns(table, passes, {"z": ""}, lambda count, again: _bernoulli_draw(p, count, frozenset(), again))


def _bernoulli_elbo(p: dict[str, Tensor]) -> Tensor:
    log_q = Bernoulli(logits=p["logits"]).log_prob(_BITS).sum(-1)
    return (log_q.exp() * (_log_joint(_BITS, p["theta"]) - log_q)).sum()


# -- a chain: Bernoulli, then a Gaussian that depends on it, subsampled plate of likelihood terms -------------------


def _mixed_params() -> dict[str, Tensor]:
    return {"logit": _leaf(0.5), "locs": _leaf(-0.6, 0.9), "log_scale": _leaf(-0.5), "theta": _leaf(0.3)}


_SCALE = torch.tensor(0.9, dtype=torch.float64)


def _mixed_draw(p: dict[str, Tensor], K: int, passes: frozenset[Pass], again: Again = FIRST) -> Particles:
    prior = Bernoulli(torch.tensor(0.3, dtype=p["locs"].dtype))
    b = _latent("b", Bernoulli(logits=p["logit"]), K, passes, _bernoulli_log_prob(prior), prior=prior, again=again)
    q = Normal(p["locs"][0] * (1 - b.value) + p["locs"][1] * b.value, p["log_scale"].exp())
    w = _latent("w", q, K, passes, lambda value: Normal(p["theta"] * b.value, 1.0).log_prob(value), again=again)
    x = torch.tensor([0.5, -0.3], dtype=p["locs"].dtype)
    rows = Factor(Normal(w.value[:, None], _SCALE).log_prob(x), (Plate("data", 2, 6),))
    table = Particles({"b": b, "w": w, "x": Site("x", x, log_p=rows, observed=True)}, K)
    below = {"b": "w", "w": ""}
    return _with_reruns(table, passes, below, lambda count, again: _mixed_draw(p, count, frozenset(), again))


def _bernoulli_log_prob(prior: Bernoulli) -> Callable[[Tensor], Tensor]:
    return Bernoulli(logits=prior.logits, validate_args=False).log_prob


def _mixed_elbo(p: dict[str, Tensor]) -> Tensor:
    scale = p["log_scale"].exp()
    weight = torch.sigmoid(p["logit"])
    total = -kl_divergence(Bernoulli(logits=p["logit"]), Bernoulli(torch.tensor(0.3, dtype=torch.float64)))
    for index, prob in ((0, 1 - weight), (1, weight)):
        loc = p["locs"][index]
        inner = -kl_divergence(Normal(loc, scale), Normal(p["theta"] * index, 1.0))
        for x in (0.5, -0.3):
            inner = inner + 3 * (
                -0.5 * torch.log(2 * math.pi * _SCALE**2) - ((x - loc) ** 2 + scale**2) / (2 * _SCALE**2)
            )
        total = total + prob * inner
    return total


# -- two rows of a three-way category, each with a bit drawn from it -------------------------------------------------


def _one_hot_params() -> dict[str, Tensor]:
    return {"logits": _leaf(0.3, -0.4, 0.8), "slopes": _leaf(-0.6, 0.9, 0.2), "theta": _leaf(0.7)}


_ROWS = (Plate("rows", 2, 2),)
_OFFSETS = torch.tensor([[0.0, 0.0, 0.0], [0.5, -1.0, 0.2]], dtype=torch.float64)
_PRIOR = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
_X = torch.tensor([0.4, -1.1], dtype=torch.float64)


def _one_hot_terms(theta: Tensor, c: Tensor, b: Tensor) -> Tensor:
    mean = (c * torch.tensor([0.5, -1.0, 2.0], dtype=theta.dtype)).sum(-1) + theta * b
    return -((_X.to(theta) - mean) ** 2) + 0.3 * mean


def _one_hot_draw(p: dict[str, Tensor], K: int, passes: frozenset[Pass], again: Again = FIRST) -> Particles:
    q = OneHotCategorical(logits=p["logits"] + _OFFSETS.to(p["logits"]))
    c = _latent("c", q, K, passes, lambda value: (value * _PRIOR.to(value)).sum(-1), _ROWS, again=again)
    bit = Bernoulli(logits=(c.value * p["slopes"]).sum(-1))
    b = _latent("b", bit, K, passes, lambda value: math.log(0.5) + 0.0 * value, _ROWS, again=again)
    x = Site("x", _X, log_p=Factor(_one_hot_terms(p["theta"], c.value, b.value), _ROWS), observed=True)
    table = Particles({"c": c, "b": b, "x": x}, K)
    below = {"c": "b", "b": ""}
    return _with_reruns(table, passes, below, lambda count, again: _one_hot_draw(p, count, frozenset(), again))


def _one_hot_elbo(p: dict[str, Tensor]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    log_c = torch.log_softmax(p["logits"] + _OFFSETS, -1)
    for index, value in itertools.product(range(3), (0.0, 1.0)):
        corner = torch.eye(3, dtype=torch.float64)[index]
        log_q = log_c[:, index] + Bernoulli(logits=p["slopes"][index]).log_prob(torch.tensor(value).double())
        log_p = _PRIOR[index] + math.log(0.5) + _one_hot_terms(p["theta"], corner, torch.tensor(value).double())
        total = total + (log_q.exp() * (log_p - log_q)).sum()
    return total


PROBLEMS = [
    Problem("Gaussian", _gaussian_params, _gaussian_draw, _gaussian_elbo, frozenset({"Normal"})),
    Problem("three Bernoullis", _bernoulli_params, _bernoulli_draw, _bernoulli_elbo, frozenset({"Bernoulli"})),
    Problem("Bernoulli then Gaussian", _mixed_params, _mixed_draw, _mixed_elbo, frozenset({"Bernoulli", "Normal"})),
    Problem(
        "category then bit",
        _one_hot_params,
        _one_hot_draw,
        _one_hot_elbo,
        frozenset({"OneHotCategorical", "Bernoulli"}),
    ),
]
