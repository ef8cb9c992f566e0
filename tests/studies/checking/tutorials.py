"""Pairs of the kinds that people meet first: each makes a sound (model, guide, data)."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.autoguide import AutoDiagonalNormal
from pyro.nn import PyroModule, PyroSample
from torch import nn
from torch.distributions import constraints
from torch.nn import functional
from torch.utils.data import DataLoader

PARALLEL = {"enumerate": "parallel"}


def positive(name, start):
    return pyro.param(name, lambda: torch.as_tensor(start), constraint=constraints.positive)


def coin():
    """A coin's fairness."""

    def model(flips):
        fairness = pyro.sample("fairness", dist.Beta(10.0, 10.0))
        with pyro.plate("flips", len(flips)):
            pyro.sample("flip", dist.Bernoulli(fairness), obs=flips)

    def guide(flips):
        pyro.sample("fairness", dist.Beta(positive("alpha", 15.0), positive("beta", 15.0)))

    return model, guide, torch.tensor([1.0] * 6 + [0.0] * 4)


def coin_in_a_loop():
    """The same, a flip at a time."""

    def model(flips):
        fairness = pyro.sample("fairness", dist.Beta(10.0, 10.0))
        for i in pyro.plate("flips", len(flips)):
            pyro.sample(f"flip_{i}", dist.Bernoulli(fairness), obs=flips[i])

    return model, coin()[1], torch.tensor([1.0] * 6 + [0.0] * 4)


def mean_of_data():
    """A location, learned by a Normal guide whose scale is kept as its logarithm."""

    def model(data):
        loc = pyro.sample("loc", dist.Normal(0.0, 1.0))
        with pyro.plate("data", len(data), dim=-1):
            pyro.sample("obs", dist.Normal(loc, 1.0), obs=data)

    def guide(data):
        log_scale = pyro.param("guide_log_scale", torch.tensor(0.0))
        pyro.sample("loc", dist.Normal(pyro.param("guide_loc", torch.tensor(0.0)), log_scale.exp()))

    return model, guide, torch.randn(100, generator=torch.manual_seed(0)) + 3.0


class _BayesianRegression(PyroModule):
    def __init__(self, inputs):
        super().__init__()
        self.linear = PyroModule[nn.Linear](inputs, 1)
        self.linear.weight = PyroSample(dist.Normal(0.0, 1.0).expand([1, inputs]).to_event(2))
        self.linear.bias = PyroSample(dist.Normal(0.0, 10.0).expand([1]).to_event(1))

    def forward(self, x, y=None):
        sigma = pyro.sample("sigma", dist.Uniform(0.0, 10.0))
        mean = self.linear(x).squeeze(-1)
        with pyro.plate("data", x.shape[0]):
            pyro.sample("obs", dist.Normal(mean, sigma), obs=y)
        return mean


def bayesian_regression():
    """A linear layer with priors on its weights, and an automatic guide."""
    x = torch.randn(40, 3, generator=torch.manual_seed(1))
    model = _BayesianRegression(3)
    return model, AutoDiagonalNormal(model), (x, x @ torch.tensor([1.0, -0.5, 0.2]) + 0.3)


def topics():
    """Words in documents: proportions per document, words per topic, one plate in another."""
    topics, words, documents, length = 3, 8, 5, 12

    def model(data):
        with pyro.plate("topics", topics):
            weights = pyro.sample("weights", dist.Gamma(1.0 / topics, 1.0))
            topic = pyro.sample("words", dist.Dirichlet(torch.ones(words) / words))
        with pyro.plate("documents", documents) as rows:
            shares = pyro.sample("shares", dist.Dirichlet(weights))
            with pyro.plate("positions", length):
                which = pyro.sample("which", dist.Categorical(shares), infer=PARALLEL)
                pyro.sample("word", dist.Categorical(topic[which]), obs=data[:, rows])

    def guide(data):
        with pyro.plate("topics", topics):
            rise, rate = positive("rise", torch.ones(topics)), positive("rate", torch.ones(topics))
            pyro.sample("weights", dist.Gamma(rise, rate))
            pyro.sample("words", dist.Dirichlet(positive("counts", torch.ones(topics, words))))
        shares = positive("document_counts", torch.ones(documents, topics))
        with pyro.plate("documents", documents) as rows:
            pyro.sample("shares", dist.Dirichlet(shares[rows]))

    return model, guide, torch.randint(words, (length, documents), generator=torch.manual_seed(0))


def mixture():
    """A Gaussian mixture whose assignments the model sums out."""

    def model(data):
        weights = pyro.sample("weights", dist.Dirichlet(0.5 * torch.ones(2)))
        scale = pyro.sample("scale", dist.LogNormal(0.0, 2.0))
        with pyro.plate("components", 2):
            locs = pyro.sample("locs", dist.Normal(0.0, 10.0))
        with pyro.plate("data", len(data)):
            which = pyro.sample("which", dist.Categorical(weights), infer=PARALLEL)
            pyro.sample("obs", dist.Normal(locs[which], scale), obs=data)

    return model, "auto_delta", torch.tensor([0.0, 1.0, 10.0, 11.0, 12.0])


class _Encoder(nn.Module):
    def __init__(self, inputs, latents):
        super().__init__()
        self.hidden, self.loc, self.log_scale = nn.Linear(inputs, 8), nn.Linear(8, latents), nn.Linear(8, latents)

    def forward(self, x):
        hidden = functional.softplus(self.hidden(x))
        return self.loc(hidden), self.log_scale(hidden).exp()


def autoencoder():
    """Encoder and decoder as torch modules, registered with pyro.module, on minibatches."""
    torch.manual_seed(0)
    encoder, decoder = _Encoder(6, 2), nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 6), nn.Sigmoid())

    def model(x):
        pyro.module("decoder", decoder)
        with pyro.plate("data", x.shape[0]):
            z = pyro.sample("latent", dist.Normal(x.new_zeros(x.shape[0], 2), x.new_ones(x.shape[0], 2)).to_event(1))
            pyro.sample("obs", dist.Bernoulli(decoder(z)).to_event(1), obs=x)

    def guide(x):
        pyro.module("encoder", encoder)
        with pyro.plate("data", x.shape[0]):
            loc, scale = encoder(x)
            pyro.sample("latent", dist.Normal(loc, scale).to_event(1))

    return model, guide, DataLoader(torch.bernoulli(torch.full((32, 6), 0.4)), batch_size=8)


def deep_markov():
    """A sequence with a learned transition; the guide reads it with an RNN."""
    torch.manual_seed(0)
    transition, emitter = nn.Linear(2, 4), nn.Linear(2, 3)
    reader, combiner = nn.GRU(3, 5, batch_first=True), nn.Linear(7, 4)

    def model(x):
        pyro.module("transition", transition)
        pyro.module("emitter", emitter)
        z = torch.zeros(2)
        with pyro.plate("sequences", len(x)):
            for t in pyro.markov(range(x.shape[1])):
                loc, log_scale = transition(z).chunk(2, -1)
                z = pyro.sample(f"z_{t}", dist.Normal(loc, log_scale.exp()).to_event(1))
                pyro.sample(f"x_{t}", dist.Bernoulli(logits=emitter(z)).to_event(1), obs=x[:, t])

    def guide(x):
        pyro.module("reader", reader)
        pyro.module("combiner", combiner)
        start = pyro.param("z_start", lambda: torch.zeros(2))
        states, _ = reader(x)
        with pyro.plate("sequences", len(x)):
            z = start.expand(len(x), 2)
            for t in pyro.markov(range(x.shape[1])):
                seen = states[:, t].expand(*z.shape[:-1], 5)
                loc, log_scale = combiner(torch.cat([z, seen], -1)).chunk(2, -1)
                z = pyro.sample(f"z_{t}", dist.Normal(loc, log_scale.exp()).to_event(1))

    return model, guide, torch.bernoulli(torch.full((4, 3, 3), 0.5))


def hierarchy_with_subsampling():
    """Groups and rows; rows are subsampled in model and guide alike."""

    def model(x, group):
        centre = pyro.sample("centre", dist.Normal(0.0, 2.0))
        with pyro.plate("groups", 3):
            level = pyro.sample("level", dist.Normal(centre, 1.0))
        with pyro.plate("rows", len(x), subsample_size=6) as rows:
            own = pyro.sample("own", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(level[..., group[rows]] + own, 0.5), obs=x[rows])

    def guide(x, group):
        pyro.sample("centre", dist.Normal(pyro.param("centre_loc", torch.tensor(0.0)), positive("centre_scale", 0.5)))
        with pyro.plate("groups", 3):
            loc = pyro.param("level_loc", torch.zeros(3))
            pyro.sample("level", dist.Normal(loc, positive("level_scale", torch.ones(3))))
        loc, scale = pyro.param("own_loc", torch.zeros(len(x))), positive("own_scale", torch.ones(len(x)))
        with pyro.plate("rows", len(x), subsample_size=6) as rows:
            pyro.sample("own", dist.Normal(loc[rows], scale[rows]))

    group = torch.arange(18) % 3
    return model, guide, {"x": torch.randn(18, generator=torch.manual_seed(2)) + group, "group": group}


def _beside(one, other):
    batch = torch.broadcast_shapes(one.shape[:-1], other.shape[:-1])
    return torch.cat([one.expand(*batch, -1), other.expand(*batch, -1)], -1)


def _semi_supervised():
    torch.manual_seed(0)
    classifier, encoder, decoder = nn.Linear(4, 3), _Encoder(7, 2), nn.Linear(5, 4)

    def model(x, y=None):
        pyro.module("decoder", decoder)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            y = pyro.sample("y", dist.OneHotCategorical(logits=torch.zeros(3)), obs=y)
            pyro.sample("x", dist.Normal(decoder(_beside(z, y)), 1.0).to_event(1), obs=x)

    def guide(x, y=None):
        pyro.module("encoder", encoder)
        with pyro.plate("data", len(x)):
            if y is None:
                pyro.module("classifier", classifier)
                y = pyro.sample("y", dist.OneHotCategorical(logits=classifier(x)), infer=PARALLEL)
            loc, scale = encoder(_beside(x, y))
            pyro.sample("z", dist.Normal(loc, scale).to_event(1))

    return model, guide, torch.randn(5, 4, generator=torch.manual_seed(3))


def semi_supervised_without_labels():
    """A digit's class is latent."""
    model, guide, x = _semi_supervised()
    return model, guide, {"x": x}


def semi_supervised_with_labels():
    """The same pair where the class is known."""
    model, guide, x = _semi_supervised()
    return model, guide, {"x": x, "y": torch.eye(3)[torch.tensor([0, 1, 2, 0, 1])]}


def exponential_family():
    """Sparse gammas on top of each other, counts below; the guide keeps means and shapes as they are unconstrained."""
    top, bottom, width = 2, 3, 4

    def model(x):
        weights = pyro.sample("w_top", dist.Gamma(0.1, 0.3).expand([top, bottom]).to_event(2))
        out = pyro.sample("w_bottom", dist.Gamma(0.1, 0.3).expand([bottom, width]).to_event(2))
        with pyro.plate("data", len(x)):
            z_top = pyro.sample("z_top", dist.Gamma(0.1, 0.1).expand([top]).to_event(1))
            rate = 0.1 / (z_top.unsqueeze(-2) @ weights).squeeze(-2).clamp(min=1e-6)
            z = pyro.sample("z_bottom", dist.Gamma(0.1, rate).to_event(1))
            mean = (z.unsqueeze(-2) @ out).squeeze(-2).clamp(min=1e-6)
            pyro.sample("x", dist.Poisson(mean).to_event(1), obs=x)

    def gamma(name, shape, event):
        shape_of = functional.softplus(pyro.param(f"{name}_shape", lambda: torch.full(shape, 0.5))).clamp(min=0.1)
        mean = functional.softplus(pyro.param(f"{name}_mean", lambda: torch.full(shape, 0.5)))
        pyro.sample(name, dist.Gamma(shape_of, shape_of / mean.clamp(min=1e-3)).to_event(event))

    def guide(x):
        gamma("w_top", (top, bottom), 2)
        gamma("w_bottom", (bottom, width), 2)
        with pyro.plate("data", len(x)):
            gamma("z_top", (len(x), top), 1)
            gamma("z_bottom", (len(x), bottom), 1)

    return model, guide, torch.poisson(torch.full((6, width), 2.0), generator=torch.manual_seed(0))


TUTORIALS = [
    coin, coin_in_a_loop, mean_of_data, bayesian_regression, topics, mixture, autoencoder, deep_markov,
    hierarchy_with_subsampling, semi_supervised_without_labels, semi_supervised_with_labels, exponential_family,
]  # fmt: skip
