"""Normalising flows as automatic guides: a full-rank normal over the unconstrained latents whose noise is bent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pyro.distributions as dist
import torch
from pyro.infer.autoguide import AutoContinuous
from pyro.nn import PyroParam
from torch import Tensor, nn
from torch.distributions import Transform, biject_to, constraints

from pyro_vae.guides.flow_library import zuko
from pyro_vae.guides.whitening import Placed, Stretched, approximation_of

_MEDIAN_DRAWS = 4096


class Bend(Transform):
    r"""Noise :math:`\epsilon \mapsto \mu + L f_n(\dots f_1(\epsilon))`, with the Jacobian of its last call at hand.

    ``layers`` are transforms of zuko's, each one pass forwards; backwards an autoregressive one takes D. So a draw and
    its density take one pass per layer, and the density of another value D, which estimators pay that score a draw a
    second time (``StickingTheLanding``, ``DReG``).
    """

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, layers: list[Any], loc: Tensor, tril: Tensor):
        super().__init__(cache_size=1)
        self.layers, self.loc, self.tril = layers, loc, tril
        self._jacobian: tuple[Tensor, Tensor] | None = None

    def _call(self, x: Tensor) -> Tensor:
        y, jacobian = self._forwards(x)
        self._jacobian = x, jacobian
        return y

    def _forwards(self, x: Tensor) -> tuple[Tensor, Tensor]:
        jacobian = torch.diagonal(self.tril).log().sum()
        for layer in self.layers:
            x, more = layer.call_and_ladj(x)
            jacobian = jacobian + more
        return self.loc + x @ self.tril.mT, jacobian

    def _inverse(self, y: Tensor) -> Tensor:
        x = torch.linalg.solve_triangular(self.tril, (y - self.loc).unsqueeze(-1), upper=False).squeeze(-1)
        for layer in reversed(self.layers):
            x = layer.inv(x)
        return x

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx|, ``[*batch]``."""
        if self._jacobian is not None and self._jacobian[0] is x:
            return self._jacobian[1]
        return self._forwards(x)[1]


class AutoFlow(AutoContinuous):
    r"""What the flow guides share: :math:`z = \mu + L f(\epsilon)`, with f the identity at the start.

    So the guide starts as the full-rank normal that approximates the posterior, and f learns in coordinates in which
    the posterior is about a standard normal. Without an approximation L starts as ``init_scale`` times the identity.

    Args:
        model: a Pyro program.
        init_loc_fn: the start of each site, where there is no approximation.
        init_scale: standard deviations there.
        layers: of the flow; the order of the coordinates turns round from one to the next.
        hidden: width of the two hidden layers of its nets.
    """

    # Nets want smaller steps than locations do; many draws cost little more than few where a step is mostly overhead,
    # and a compiled step is so much code that compiling takes longer than the fit.
    fit_options = {"learning_rate": 0.01, "num_particles": 128, "steps": 1500, "compile": False}
    how, source = "prior", ()

    def __init__(
        self,
        model: Callable,
        *,
        init_loc_fn: Callable,
        init_scale: float = 0.1,
        layers: int = 2,
        hidden: int = 32,
    ):
        _check_positive(init_scale=init_scale, layers=layers, hidden=hidden)
        super().__init__(model, init_loc_fn=init_loc_fn)
        self._init_scale, self._sizes = init_scale, (layers, hidden)

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        loc = self._init_loc()
        found = approximation_of(self, args, kwargs, self._unconstrained_shapes)
        plain = self._init_scale * torch.eye(len(loc)).to(loc)
        self.register_buffer("centre", loc if found is None else torch.as_tensor(found.loc).to(loc))
        self.register_buffer("spread", plain if found is None else torch.as_tensor(found.tril).to(loc))
        self.loc = PyroParam(self.centre.clone(), Placed(self.centre, self.spread))
        self.scale_tril = PyroParam(self.spread.clone(), Stretched(self.spread, cholesky=True))
        self.layers = nn.ModuleList(self._layer(index) for index in range(self._sizes[0])).to(loc)
        for layer in self.layers:
            _make_identity(layer)

    def _layer(self, index: int) -> nn.Module:
        order = torch.arange(self.latent_dim)
        return zuko().flows.MaskedAutoregressiveTransform(
            self.latent_dim,
            order=order if index % 2 == 0 else order.flip(0),
            hidden_features=(self._sizes[1], self._sizes[1]),
            **self._univariate(),
        )

    def _univariate(self) -> dict[str, Any]:
        """What each coordinate goes through, given those before it: zuko's ``univariate`` and ``shapes``."""
        raise NotImplementedError

    def get_base_dist(self) -> Any:
        """Standard normal noise, ``[D]``."""
        zero = torch.zeros_like(self.centre)
        return dist.Normal(zero, torch.ones_like(zero)).to_event(1)

    def get_transform(self, *args: Any, **kwargs: Any) -> Bend:
        """From noise to the unconstrained latents."""
        loc, scale_tril = cast(Tensor, self.loc), cast(Tensor, self.scale_tril)
        return Bend([layer() for layer in self.layers], loc, scale_tril)

    def median(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """The median of each latent's draws, from 4096 of them, always the same."""
        return {name: values[0] for name, values in self.quantiles([0.5], *args, **kwargs).items()}

    @torch.no_grad()
    def quantiles(self, quantiles: Any, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Quantiles of each latent, ``{site: [len(quantiles), *shape]}``, from 4096 draws, always the same."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            half = torch.randn(_MEDIAN_DRAWS // 2, self.latent_dim).to(self.centre)
        noise = torch.cat([half, -half])
        found = torch.quantile(cast(Tensor, self.get_transform()(noise)), torch.as_tensor(quantiles).to(noise), dim=0)
        rows: list[Any] = [
            {site["name"]: biject_to(site["fn"].support)(z) for site, z in self._unpack_latent(row)} for row in found
        ]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


class AutoNeuralSpline(AutoFlow):
    r"""Neural spline flow: each coordinate through a monotonic spline that depends on the coordinates before it.

    Splines are rational-quadratic with ``bins`` bins (default 8) on [-5, 5] standard deviations of the start, and the
    identity beyond, so tails are a normal's.

    Source: Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows", NeurIPS 2019.
    """

    def __init__(self, model: Callable, *, bins: int = 8, **options: Any):
        _check_positive(bins=bins)
        super().__init__(model, **options)
        self._bins = bins

    def _univariate(self) -> dict[str, Any]:
        bins = self._bins
        return {"univariate": zuko().transforms.MonotonicRQSTransform, "shapes": [(bins,), (bins,), (bins - 1,)]}


class AutoIAF(AutoFlow):
    r"""Inverse autoregressive flow: :math:`z_i \leftarrow m_i + s_i z_i`, m and s nets of the coordinates before it.

    Conditionally on those a layer is a normal: skewness comes from several layers.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling, "Improved variational inference with inverse
    autoregressive flow", NeurIPS 2016.
    """

    def _univariate(self) -> dict[str, Any]:
        return {}


def _check_positive(**options: float) -> None:
    for name, value in options.items():
        if not value > 0:
            raise ValueError(f"{name}: expected a positive number, got {value!r}.")


@torch.no_grad()
def _make_identity(layer: nn.Module) -> None:
    """Set what a layer's transforms are made of to 0."""
    net = getattr(layer, "hyper", None)  # of one coordinate there is none, but the numbers themselves
    for leaf in (layer if net is None else net[-1]).parameters():
        leaf.zero_()
