"""``VAE``: an encoder, a decoder, latents, a likelihood and a prior as one pair of Pyro programs."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyro
import torch
from torch import Tensor, nn
from torch.distributions import biject_to, constraints
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from pyro_vae.compiling.writing import being_written
from pyro_vae.errors import DataError, ModelError, OptionError
from pyro_vae.nets.modes import evaluating
from pyro_vae.nets.rows import check_positive
from pyro_vae.particles.calls import call_arguments
from pyro_vae.vae.evidence import LogEvidence, log_evidence
from pyro_vae.vae.latents.base import Latent
from pyro_vae.vae.likelihoods.base import Likelihood
from pyro_vae.vae.priors.base import Prior
from pyro_vae.vae.registry import register


class VAE(nn.Module):
    r"""A variational autoencoder: :math:`z \sim p(z),\ x \sim p(x \mid z)`, with the guide :math:`q(z \mid x)`.

    ``model`` and ``guide`` are plain Pyro programs of one argument, the rows ``x``, with the sites ``"z"`` and ``"x"``
    in the plate ``"data"``: ``fit``, ``SVI`` and every estimator take them. How they are trained (beta, annealing, free
    bits, bounds of several samples) is the estimator's business. After it, encoder and decoder work alone: ``encode``,
    ``decode``, ``generate``, ``reconstruct``, ``interpolate``, ``log_evidence``.

    Args:
        encoder: a module x -> ``[N, latent.num_parameters]``.
        decoder: a module of codes ``[*lead, latent.code_size]`` -> ``[*lead, *likelihood.raw_shape]``, for any leading
            dims; for words a :class:`~pyro_vae.nets.SequenceDecoder`.
        latent: the family of q(z | x), see :mod:`pyro_vae.vae.latents`.
        likelihood: the family of p(x | z), see :mod:`pyro_vae.vae.likelihoods`.
        prior: a learned p(z), see :mod:`pyro_vae.vae.priors`; None for the latents' standard one.
        size: how many rows there are in all, where ``x`` is a batch of them: the bound is then that of all rows. None
            takes the rows given for all.
        name: under which the parameters are in Pyro's param store; two VAEs in one program need two names.

    Shapes: x ``[N, *likelihood.event_shape]``, z ``[N, *event]``.

    Raises:
        OptionError: a part that is not of its kind; names the argument.
        ModelError: an encoder or decoder whose output has another shape than the families need.
        DataError: rows that the likelihood cannot take; names the row.

    Source: Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014; Rezende, Mohamed, Wierstra, ICML 2014.

    >>> import pyro_vae as pv
    >>> from pyro_vae.nets import MLP
    >>> _ = torch.manual_seed(0)
    >>> latent, likelihood = pv.vae.latents.Gaussian(2), pv.vae.likelihoods.Bernoulli(6)
    >>> vae = VAE(MLP(6, latent.num_parameters), MLP(latent.code_size, likelihood.raw_shape), latent, likelihood)
    >>> x = torch.eye(6)
    >>> _ = pv.fit(vae.model, vae.guide, x, steps=200, learning_rate=0.01, num_particles=1, seed=0)
    >>> vae.reconstruct(x).shape, vae.generate(3).shape
    (torch.Size([6, 6]), torch.Size([3, 6]))
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: Latent,
        likelihood: Likelihood,
        prior: Prior | None = None,
        *,
        size: int | None = None,
        name: str = "vae",
    ):
        super().__init__()
        kinds = {"encoder": nn.Module, "decoder": nn.Module, "latent": Latent, "likelihood": Likelihood}
        parts = {"encoder": encoder, "decoder": decoder, "latent": latent, "likelihood": likelihood}
        for label, part in {**parts, **({} if prior is None else {"prior": prior})}.items():
            kind = kinds.get(label, Prior)
            if not isinstance(part, kind):
                raise OptionError(f"{label}: expected a {kind.__name__}, got {type(part).__name__}.")
        if prior is not None:
            _check_prior(prior, latent)
        if size is not None:
            check_positive(size=size)
        self.encoder, self.decoder, self.latent, self.likelihood = encoder, decoder, latent, likelihood
        self.learned_prior, self.size, self.name = prior, size, name
        self._checked: tuple[weakref.ref, int] | None = None

    # The two programs.

    def model(self, x: Tensor) -> None:
        """p(z) p(x | z): the rows ``x`` are observed."""
        with self._rows(x):
            z = pyro.sample("z", self.prior())
            pyro.sample("x", self.decode(z), obs=x)

    def guide(self, x: Tensor) -> None:
        """q(z | x)."""
        with self._rows(x):
            parameters = self._encoded(x)
            infer: Any = {"baseline_input": parameters.detach(), **self.latent.infer}
            pyro.sample("z", self.latent.posterior(parameters), infer=infer)

    def _rows(self, x: Tensor) -> Any:
        """The plate of the rows, after a look at them; the parameters are made known to Pyro."""
        self.look_at(x)
        register(self.name, self)
        if self.size is None or self.size == len(x):
            return pyro.plate("data", len(x))
        if len(x) > self.size:
            raise DataError(f"x: expected at most size={self.size} rows, got {len(x)}. Make the VAE with another size.")
        return pyro.plate("data", self.size, subsample=x)

    # Its halves alone.

    def prior(self) -> Any:
        """p(z), without a batch shape."""
        return self.latent.prior() if self.learned_prior is None else self.learned_prior(self.encode)

    def encode(self, x: Tensor) -> Any:
        """q(z | x) of rows ``[N, *event_shape]``: a distribution of batch shape ``[N]``."""
        return self.latent.posterior(self._encoded(x))

    def decode(self, z: Tensor) -> Any:
        """p(x | z) of latents ``[*lead, *event]``: a distribution of batch shape ``lead``."""
        return self.likelihood.given(self.decoder, self.latent.code(z))

    def _encoded(self, x: Tensor) -> Tensor:
        parameters = self.encoder(x)
        wanted = (len(x), self.latent.num_parameters)
        if tuple(parameters.shape) != wanted:
            raise ModelError(
                f"encoder: expected a tensor of shape {wanted} for x of shape {tuple(x.shape)}, got "
                f"{tuple(parameters.shape)}. Make it with out_shape=latent.num_parameters, which is {wanted[1]}."
            )
        return parameters

    def generate(self, n: int, *, noise: bool = True) -> Tensor:
        """``n`` rows that the model makes up, ``[n, *event_shape]``.

        ``noise=False`` shows p(x | z) by its mean, or its likeliest words, instead of a draw.
        """
        check_positive(n=n)
        with self._evaluating():
            return self._shown(self.decode(self.prior().sample((n,))), noise)

    def reconstruct(self, x: Tensor, *, noise: bool = False) -> Tensor:
        """What the model makes of the code of each row, ``[N, *event_shape]``: p(x | z) at the centre of q(z | x)."""
        self.look_at(x)
        with self._evaluating():
            return self._shown(self.decode(self.latent.centre(self.encode(x))), noise)

    def interpolate(self, x0: Tensor, x1: Tensor, steps: int = 8) -> Tensor:
        """Rows on the way from ``x0`` to ``x1``, ``[steps, N, *event_shape]``, both ends included.

        The way is straight between the centres of q(z | x0) and q(z | x1), on the unconstrained scale of z. Raises
        :class:`~pyro_vae.errors.OptionError` for discrete latents, between which there is no way.
        """
        check_positive(steps=steps)
        self.look_at(x0)
        self.look_at(x1)
        with self._evaluating():
            q0, q1 = self.encode(x0), self.encode(x1)
            if q0.support.is_discrete:
                raise OptionError("interpolate: there is no way between discrete latents; give them a temperature.")
            free = biject_to(q0.support)
            start, end = free.inv(self.latent.centre(q0)), free.inv(self.latent.centre(q1))
            share = torch.linspace(0, 1, steps, dtype=start.dtype, device=start.device)
            z = free(torch.lerp(start, end, share.reshape(-1, *[1] * start.dim())))
            return self._shown(self.decode(z), noise=False)

    def log_evidence(self, x: Tensor, K: int = 256) -> LogEvidence:
        """The importance-weighted (IWAE) bound on the mean of log p(x) over the rows, with K draws per row.

        Source: Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.
        """
        self.look_at(x)
        with self._evaluating():
            return log_evidence(self, x, K)

    def _shown(self, p: Any, noise: bool) -> Tensor:
        return p.sample() if noise else self.likelihood.point(p)

    # Data.

    def check_data(self, data: Tensor | DataLoader) -> None:
        """Look at all rows of a tensor, or of a ``DataLoader``, before training starts.

        Raises :class:`~pyro_vae.errors.DataError` naming the first row that the likelihood cannot take. Model and guide
        look at each batch that they are given, whoever calls them.
        """
        first_row = 0
        for batch in data if isinstance(data, DataLoader) else ({"x": data},):
            args, kwargs = call_arguments(batch, check=False)
            x: Any = args[0] if args else kwargs.get("x")
            self.likelihood.check(x, first_row)
            first_row += len(x)

    def look_at(self, x: Tensor, *_: Any, **__: Any) -> None:
        """Look at a batch, called with what the model is: model and guide do, and a fit where it runs neither.

        Raises :class:`~pyro_vae.errors.DataError` naming the row that cannot be used.
        """
        if being_written():  # a step that is compiled runs on a batch that was looked at
            return
        if self._checked is not None and self._checked[0]() is x and self._checked[1] == x._version:
            return
        self.likelihood.check(x)
        dtype = self.latent.zero.dtype
        if x.is_floating_point() and x.dtype != dtype:
            raise DataError(f"x: expected {dtype}, as the nets are, got {x.dtype}. Convert with x.to({dtype}).")
        if len(x) == 1 and self.training and any(isinstance(module, _BatchNorm) for module in self.modules()):
            raise DataError(
                "x: a batch of one row, which batch normalisation cannot be trained on. Give the DataLoader "
                "drop_last=True or another batch_size."
            )
        self._checked = (weakref.ref(x), x._version)

    def __getstate__(self) -> dict[str, Any]:
        # Pyro's param store hangs a weak reference on every parameter that it hands out, each time anew; it cannot be
        # pickled.
        for parameter in self.parameters():
            vars(parameter).pop("unconstrained", None)
        return {**self.__dict__, "_checked": None}

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Without gradients, and without what is only for training (dropout)."""
        with evaluating(self), torch.no_grad():
            yield


def _check_prior(prior: Prior, latent: Latent) -> None:
    """Two densities on supports that only look alike (log-weights are real numbers) must not be subtracted."""
    standard = latent.prior()
    support = standard.support
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    real = support in (constraints.real, constraints.real_vector) and len(standard.event_shape) == 1
    if prior.size is not None and not (real and prior.size == standard.event_shape[0]):
        kind = f"{standard.event_shape[0]} real numbers" if real else f"no real numbers ({type(latent).__name__})"
        raise OptionError(
            f"prior: {type(prior).__name__} is one of {prior.size} real numbers, and the latents are {kind}. Give both "
            "one size, or use Vamp, which suits every family."
        )
