"""Distributions that hold at the edges: each a Pyro distribution, right out to the last representable float.

Every one that is not made of Gammas is a :class:`~pyro_vae.distributions.noise.FromNoise`: its draw is a function of
the parameters and of noise that does not depend on them, so the noise can be drawn ahead and passed in. ``rsample`` is
``sample_from_noise(draw_noise(sample_shape))``, the noise has the shape ``noise_shape(sample_shape)`` and, entry by
entry, the standard distribution that ``noise`` names. A Gamma is drawn by rejection, with as many random numbers as it
takes; so are Beta and Dirichlet, which have pathwise gradients all the same.

Two scales hold what a plain float cannot. A number in (0, 1) is carried as its logit, from which log x and log(1 - x)
follow to the last digit; weights that sum to one are carried as their logarithms, on the support ``log_simplex``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.distributions.beta import Beta as Beta
    from pyro_vae.distributions.concrete import Concrete as Concrete
    from pyro_vae.distributions.dirichlet import Dirichlet as Dirichlet
    from pyro_vae.distributions.exp_concrete import ExpConcrete as ExpConcrete
    from pyro_vae.distributions.gamma import Gamma as Gamma
    from pyro_vae.distributions.gumbel import Gumbel as Gumbel
    from pyro_vae.distributions.gumbel_min import GumbelMin as GumbelMin
    from pyro_vae.distributions.kumaraswamy import Kumaraswamy as Kumaraswamy
    from pyro_vae.distributions.log_dirichlet import LogDirichlet as LogDirichlet
    from pyro_vae.distributions.log_gamma import LogGamma as LogGamma
    from pyro_vae.distributions.log_kumaraswamy import LogKumaraswamy as LogKumaraswamy
    from pyro_vae.distributions.log_normal import LogNormal as LogNormal
    from pyro_vae.distributions.log_stick_breaking import LogStickBreaking as LogStickBreaking
    from pyro_vae.distributions.logistic_normal import LogisticNormal as LogisticNormal
    from pyro_vae.distributions.logit_beta import LogitBeta as LogitBeta
    from pyro_vae.distributions.logit_relaxed_bernoulli import LogitRelaxedBernoulli as LogitRelaxedBernoulli
    from pyro_vae.distributions.multivariate_normal import MultivariateNormal as MultivariateNormal
    from pyro_vae.distributions.noise import FromNoise as FromNoise
    from pyro_vae.distributions.noise import Noise as Noise
    from pyro_vae.distributions.normal import Normal as Normal
    from pyro_vae.distributions.relaxed_bernoulli import RelaxedBernoulli as RelaxedBernoulli
    from pyro_vae.distributions.stick_breaking import StickBreaking as StickBreaking
    from pyro_vae.distributions.straight_through_bernoulli import StraightThroughBernoulli as StraightThroughBernoulli
    from pyro_vae.distributions.straight_through_one_hot import StraightThroughOneHot as StraightThroughOneHot
    from pyro_vae.distributions.supports import log_simplex as log_simplex
    from pyro_vae.distributions.supports import open_unit_interval as open_unit_interval

_HOME = {
    "Beta": "beta",
    "Concrete": "concrete",
    "Dirichlet": "dirichlet",
    "ExpConcrete": "exp_concrete",
    "FromNoise": "noise",
    "Gamma": "gamma",
    "Gumbel": "gumbel",
    "GumbelMin": "gumbel_min",
    "Kumaraswamy": "kumaraswamy",
    "LogDirichlet": "log_dirichlet",
    "LogGamma": "log_gamma",
    "LogKumaraswamy": "log_kumaraswamy",
    "LogNormal": "log_normal",
    "LogStickBreaking": "log_stick_breaking",
    "LogisticNormal": "logistic_normal",
    "LogitBeta": "logit_beta",
    "LogitRelaxedBernoulli": "logit_relaxed_bernoulli",
    "MultivariateNormal": "multivariate_normal",
    "Noise": "noise",
    "Normal": "normal",
    "RelaxedBernoulli": "relaxed_bernoulli",
    "StickBreaking": "stick_breaking",
    "StraightThroughBernoulli": "straight_through_bernoulli",
    "StraightThroughOneHot": "straight_through_one_hot",
    "log_simplex": "supports",
    "open_unit_interval": "supports",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
