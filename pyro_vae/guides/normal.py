"""Pyro's normal guides, started from a Gaussian approximation of the posterior and moved in its coordinates."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np
import torch
from pyro.infer import autoguide as pyro_autoguide
from pyro.nn import PyroParam
from pyro.nn.module import PyroModule
from torch import Tensor

from pyro_vae.guides.whitening import Placed, Stretched, approximation_of


class AutoNormal(pyro_autoguide.AutoNormal):
    """Mean-field: Pyro's ``AutoNormal``, started at the approximation's mean, with the scales that suit it.

    The independent normals closest to a Gaussian posterior have scales :math:`P_{ii}^{-1/2}`, P its precision. Without
    an approximation it is Pyro's own.
    """

    how, source = "prior", ()

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        plain = {name: _attribute(self.locs, name) for name in self._event_dims}
        found = approximation_of(self, args, kwargs, {name: value.shape for name, value in plain.items()})
        if found is None:
            return
        like = torch.cat([value.detach().reshape(-1) for value in plain.values()])
        self.register_buffer("centre", torch.as_tensor(found.loc).to(like))
        self.register_buffer("spread", torch.as_tensor(_mean_field_scales(found.tril)).to(like))
        begin = 0
        for name, value in plain.items():
            end = begin + value.numel()
            centre, spread = (whole[begin:end].view(value.shape) for whole in (self.centre, self.spread))
            dims = self._event_dims[name]
            _replace(self.locs, name, PyroParam(centre.clone(), Placed(centre, spread), dims))
            _replace(self.scales, name, PyroParam(spread.clone(), Stretched(spread), dims))
            begin = end


class AutoDiagonalNormal(pyro_autoguide.AutoDiagonalNormal):
    """Mean-field over one flat vector, started as :class:`AutoNormal` is."""

    how, source = "prior", ()

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        found = approximation_of(self, args, kwargs, self._unconstrained_shapes)
        if found is None:
            return
        _place(self, found.loc, _mean_field_scales(found.tril))
        self.scale = PyroParam(self.spread.clone(), Stretched(self.spread))


class AutoMultivariateNormal(pyro_autoguide.AutoMultivariateNormal):
    """Full-rank: Pyro's ``AutoMultivariateNormal``, where there is an approximation as that Gaussian.

    Then ``scale_tril`` is the whole Cholesky factor, and ``scale`` is 1.
    """

    how, source = "prior", ()

    def _setup_prototype(self, *args: Any, **kwargs: Any) -> None:
        super()._setup_prototype(*args, **kwargs)
        found = approximation_of(self, args, kwargs, self._unconstrained_shapes)
        if found is None:
            return
        _place(self, found.loc, found.tril)
        del self.scale, self.scale_tril
        self.register_buffer("scale", torch.ones_like(self.centre))
        self.scale_tril = PyroParam(self.spread.clone(), Stretched(self.spread, cholesky=True))


def _place(guide: Any, centre: np.ndarray, spread: np.ndarray) -> None:
    """Keep the approximation with a guide over one flat vector, whose location is then moved in its coordinates."""
    like = guide.loc.detach()
    guide.register_buffer("centre", torch.as_tensor(centre).to(like))
    guide.register_buffer("spread", torch.as_tensor(spread).to(like))
    del guide.loc
    guide.loc = PyroParam(guide.centre.clone(), Placed(guide.centre, guide.spread))


def _mean_field_scales(tril: np.ndarray) -> np.ndarray:
    """1 / sqrt of the diagonal of the precision, ``[D]``."""
    inverse = np.linalg.inv(tril)
    return 1 / np.sqrt((inverse**2).sum(0))


def _attribute(module: Any, name: str) -> Tensor:
    return attrgetter(name)(module)


def _replace(module: PyroModule, name: str, value: PyroParam) -> None:
    *path, last = name.split(".")
    for part in path:
        module = getattr(module, part)
    delattr(module, last)
    setattr(module, last, value)
