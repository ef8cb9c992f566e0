"""Pairs with enumerated sites: of the guide, of the model alone, and of both."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.ops.indexing import Vindex
from torch.distributions import constraints

from tests.pairs import X5, Pair

PARALLEL = {"enumerate": "parallel"}


def _locs():
    return pyro.param("locs", lambda: torch.tensor([-1.0, 0.5, 1.3]))


def _probs():
    return pyro.param("probs", lambda: torch.tensor([0.2, 0.5, 0.3]), constraint=constraints.simplex)


def _w():
    return pyro.sample("w", dist.Normal(pyro.param("w_loc", lambda: torch.tensor(0.3)), 0.7))


def _masked(mask):
    return poutine.mask(mask=True if mask is None else mask)


def _mixture(size: int | None = None, seen: torch.Tensor | None = None, scale: float = 1.0, mask=None):
    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(x), subsample_size=size) as rows, poutine.scale(scale=scale), _masked(mask):
            z = pyro.sample("z", dist.Categorical(_probs()), infer=PARALLEL)
            with _masked(None if seen is None else seen[rows]):
                pyro.sample("x", dist.Normal(_locs()[z] + w, 1.0), obs=x[rows])

    return model


def _assigning_guide(size: int | None = None, scale: float = 1.0, mask=None):
    def guide(x):
        w = _w()
        logits = pyro.param("logits", lambda: torch.linspace(-1, 1, 15).reshape(5, 3) ** 2)
        with pyro.plate("data", len(x), subsample_size=size) as rows, poutine.scale(scale=scale), _masked(mask):
            pyro.sample("z", dist.Categorical(logits=logits[rows] * w[..., None]), infer=PARALLEL)

    return guide


def _w_guide(x):
    _w()


SEEN = torch.tensor([True, False, True, True, False])


def model_mixture():
    return _mixture(), _w_guide, (X5,)


def model_mixture_subsampled():
    return _mixture(3), _w_guide, (X5,)


def model_mixture_masked_and_scaled():
    return _mixture(seen=SEEN, scale=0.25), _w_guide, (X5,)


def model_mixture_masked_throughout():
    return _mixture(mask=SEEN), _w_guide, (X5,)


def guide_mixture():
    return _mixture(), _assigning_guide(), (X5,)


def guide_mixture_subsampled():
    return _mixture(3), _assigning_guide(3), (X5,)


def guide_mixture_masked_and_scaled():
    return _mixture(seen=SEEN, scale=0.25), _assigning_guide(scale=0.25), (X5,)


def guide_mixture_masked_throughout():
    return _mixture(mask=SEEN), _assigning_guide(mask=SEEN), (X5,)


def guide_one_hot():
    """Values with an event dim."""

    def model(x):
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.OneHotCategorical(_probs()))
            pyro.sample("x", dist.Normal((z * _locs()).sum(-1), 1.0), obs=x)

    def guide(x):
        logits = pyro.param("logits", lambda: torch.linspace(-1, 1, 15).reshape(5, 3) ** 2)
        with pyro.plate("data", 5):
            pyro.sample("z", dist.OneHotCategorical(logits=logits), infer=PARALLEL)

    return model, guide, (X5,)


def guide_chain():
    """b -> c in guide and model, in a plate, below a continuous w; x sees c alone, y both."""

    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("data", 5):
            b = pyro.sample("b", dist.Bernoulli(0.4))
            c = pyro.sample("c", dist.Categorical(logits=_locs() * (1 + b[..., None])))
            pyro.sample("x", dist.Normal(_locs()[c] + w, 1.0), obs=x)
            pyro.sample("y", dist.Normal(b * w + c, 2.0), obs=x)

    def guide(x):
        w = _w()
        slope = pyro.param("slope", lambda: torch.tensor([0.5, -0.3, 0.8]))
        with pyro.plate("data", 5):
            b = pyro.sample("b", dist.Bernoulli(logits=slope[0] * x + w), infer=PARALLEL)
            pyro.sample("c", dist.Categorical(logits=slope * (b + x)[..., None]), infer={"enumerate": "sequential"})

    return model, guide, (X5,)


def guide_reversed():
    """The guide draws c before b, the model b before c."""

    def model(x):
        b = pyro.sample("b", dist.Bernoulli(0.4))
        c = pyro.sample("c", dist.Bernoulli(0.3 + 0.4 * b))
        with pyro.plate("data", 5):
            pyro.sample("x", dist.Normal(b + 2 * c, 1.0), obs=x)

    def guide(x):
        logits = pyro.param("logits", lambda: torch.tensor([0.3, -0.2, 0.8]))
        c = pyro.sample("c", dist.Bernoulli(logits=logits[0]), infer=PARALLEL)
        pyro.sample("b", dist.Bernoulli(logits=logits[1] + logits[2] * c), infer=PARALLEL)

    return model, guide, (X5,)


def guide_then_continuous():
    """A continuous site below an enumerated one, in the guide and in the model."""

    def model(x):
        with pyro.plate("data", 5):
            b = pyro.sample("b", dist.Bernoulli(0.4))
            v = pyro.sample("v", dist.Normal(2 * b - 1, 1.0))
            pyro.sample("x", dist.Normal(v, pyro.param("s", lambda: torch.tensor(0.8))), obs=x)

    def guide(x):
        slope = pyro.param("slope", lambda: torch.tensor([0.5, -0.3]))
        with pyro.plate("data", 5):
            b = pyro.sample("b", dist.Bernoulli(logits=slope[0] * x), infer=PARALLEL)
            pyro.sample("v", dist.Normal(slope[1] * x + b, 0.6))

    return model, guide, (X5,)


def _emit(t: int, state, w, x):
    return pyro.sample(f"x_{t}", dist.Normal(_locs()[state] + w, 1.0), obs=x[:, t])


def _next(state):
    transition = pyro.param("transition", lambda: torch.eye(3) * 0.5 + 0.5 / 3, constraint=constraints.simplex)
    return dist.Categorical(Vindex(transition)[state] if state is not None else transition.mean(0))


SEQUENCES = torch.linspace(-1.5, 1.5, 8).reshape(2, 4).sin()


def _hidden_markov(x):
    w = pyro.sample("w", dist.Normal(0.0, 1.0))
    with pyro.plate("sequences", len(x)):
        state = None
        for t in pyro.markov(range(x.shape[1])):
            state = pyro.sample(f"z_{t}", _next(state), infer=PARALLEL)
            _emit(t, state, w, x)


def model_hidden_markov():
    return _hidden_markov, _w_guide, (SEQUENCES,)


def guide_hidden_markov():
    """The guide's own chain, in a markov loop too: dims are used again, every step is a site of its own."""

    def guide(x):
        _w()
        logits = pyro.param("logits", lambda: torch.linspace(-1, 1, 9).reshape(3, 3))
        with pyro.plate("sequences", len(x)):
            state = torch.tensor(0)
            for t in pyro.markov(range(x.shape[1])):
                state = pyro.sample(f"z_{t}", dist.Categorical(logits=Vindex(logits)[state]), infer=PARALLEL)

    return _hidden_markov, guide, (SEQUENCES,)


def model_nested_plates():
    """z once per row, x in the columns of each row; u in the columns, enumerated too, below z."""

    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        with pyro.plate("rows", 5, dim=-2):
            z = pyro.sample("z", dist.Categorical(_probs()), infer=PARALLEL)
            with pyro.plate("columns", 2, dim=-1):
                u = pyro.sample("u", dist.Bernoulli(0.2 + 0.3 * z), infer=PARALLEL)
                pyro.sample("x", dist.Normal(_locs()[z] + u * w, 1.0), obs=x[:, None].expand(5, 2))

    return model, _w_guide, (X5,)


def guide_nested_plates():
    model, _, args = model_nested_plates()

    def guide(x):
        w = _w()
        slope = pyro.param("slope", lambda: torch.tensor([0.5, -0.3, 0.8]))
        with pyro.plate("rows", 5, dim=-2):
            z = pyro.sample("z", dist.Categorical(logits=slope * x[:, None, None]), infer=PARALLEL)
            with pyro.plate("columns", 2, dim=-1):
                pyro.sample("u", dist.Bernoulli(logits=slope[0] * z + w), infer=PARALLEL)

    return model, guide, args


def model_above_a_latent():
    """v is the guide's, drawn below a site that the model sums out: no closed form for its KL."""

    def model(x):
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Categorical(_probs()), infer=PARALLEL)
            v = pyro.sample("v", dist.Normal(_locs()[z], 0.5))
            pyro.sample("x", dist.Normal(v, 1.0), obs=x)

    def guide(x):
        with pyro.plate("data", 5):
            pyro.sample("v", dist.Normal(pyro.param("loc", lambda: torch.linspace(-1, 1, 5)), 0.6))

    return model, guide, (X5,)


def model_sequential_plate():
    def model(x):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        for i in pyro.plate("data", 5, subsample_size=3):
            z = pyro.sample(f"z_{i}", dist.Categorical(_probs()), infer=PARALLEL)
            pyro.sample(f"x_{i}", dist.Normal(_locs()[z] + w, 1.0), obs=x[i])

    return model, _w_guide, (X5,)


def both():
    """b is the guide's, z below it the model's own; a global z too, which all rows share."""

    def model(x):
        b = pyro.sample("b", dist.Bernoulli(0.4))
        g = pyro.sample("g", dist.Bernoulli(0.3), infer=PARALLEL)
        with pyro.plate("data", 5):
            z = pyro.sample("z", dist.Categorical(logits=_locs() * (1 + b[..., None])), infer=PARALLEL)
            pyro.sample("x", dist.Normal(_locs()[z] + b + g, 1.0), obs=x)

    def guide(x):
        pyro.sample("b", dist.Bernoulli(logits=pyro.param("logit", lambda: torch.tensor(0.3))), infer=PARALLEL)

    return model, guide, (X5,)


MODEL = [
    Pair("model: mixture", model_mixture, latents=("w",)),
    Pair("model: mixture, subsampled", model_mixture_subsampled, latents=("w",)),
    Pair("model: mixture, masked and scaled", model_mixture_masked_and_scaled, latents=("w",)),
    Pair("model: mixture, masked throughout", model_mixture_masked_throughout, latents=("w",)),
    Pair("model: hidden Markov", model_hidden_markov, latents=("w",)),
    Pair("model: nested plates", model_nested_plates, latents=("w",)),
    Pair("model: above a latent", model_above_a_latent, latents=("v",)),
    Pair("model: sequential plate", model_sequential_plate, latents=("w",)),
]
GUIDE = [
    Pair("guide: mixture", guide_mixture, latents=("w", "z")),
    Pair("guide: mixture, subsampled", guide_mixture_subsampled, latents=("w", "z")),
    Pair("guide: mixture, masked and scaled", guide_mixture_masked_and_scaled, latents=("w", "z")),
    Pair("guide: mixture, masked throughout", guide_mixture_masked_throughout, latents=("w", "z")),
    Pair("guide: one-hot", guide_one_hot),
    Pair("guide: chain", guide_chain, latents=("w", "b", "c")),
    Pair("guide: reversed", guide_reversed, latents=("b", "c")),
    Pair("guide: then continuous", guide_then_continuous, latents=("b", "v")),
    Pair("guide: hidden Markov", guide_hidden_markov, latents=("w", *(f"z_{t}" for t in range(4)))),
    Pair("guide: nested plates", guide_nested_plates, latents=("w", "z", "u")),
    Pair("both", both, latents=("b",)),
]
