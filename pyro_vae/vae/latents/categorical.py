"""``Categorical``: one of K classes, once or several times; exact, summed over, or relaxed."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor
from torch.nn.functional import one_hot

from pyro_vae.distributions import ExpConcrete
from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import check_positive
from pyro_vae.vae.latents.base import Latent
from pyro_vae.vae.latents.bernoulli import check_temperature


class Categorical(Latent):
    r"""``groups`` independent one-hot variables of K classes each; p(z): all classes alike.

    Exact draws have no pathwise gradient: use ``ScoreFunction``, ``DisARM`` or ``VIMCO``; one variable alone can be
    summed over exactly (``enumerate=True``), which the estimators of the ELBO take. With a ``temperature``, model and
    guide are relaxed (Gumbel-softmax): z holds log-weights, the decoder reads the weights, and every estimator takes
    it. The bound is then one of the relaxed model.

    Args:
        classes: K.
        groups: how many variables.
        temperature: of the relaxation; None for exact draws.
        enumerate: sum over the classes instead of drawing one; for one group.

    Shapes: parameters ``[*lead, groups · K]``, logits; z ``[*lead, K]``, or ``[*lead, groups, K]`` for several; code
    ``[*lead, groups · K]``.

    Raises:
        OptionError: naming the option.

    Source: Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017; Maddison, Mnih, Teh, "The
    Concrete distribution", ICLR 2017.

    >>> import torch
    >>> Categorical(3).posterior(torch.tensor([-50.0, 50.0, 0.0])).sample()
    tensor([0., 1., 0.])
    """

    def __init__(
        self, classes: int, groups: int = 1, *, temperature: float | None = None, enumerate: bool = False
    ) -> None:
        super().__init__()
        check_positive(classes=classes, groups=groups)
        check_temperature(temperature)
        if enumerate and (groups > 1 or temperature is not None):
            raise OptionError(
                f"enumerate: one exact variable can be summed over, got groups={groups}, temperature={temperature!r}."
            )
        self.classes, self.groups, self.temperature = classes, groups, temperature
        self.num_parameters = self.code_size = groups * classes
        if enumerate:
            self.infer = {"enumerate": "parallel"}

    def posterior(self, parameters: Tensor):
        """The one-hot variables, or log-weights of relaxed ones, ``[*lead]``."""
        logits = parameters if self.groups == 1 else parameters.unflatten(-1, (self.groups, self.classes))
        if self.temperature is None:
            return dist.OneHotCategorical(logits=logits).to_event(int(self.groups > 1))
        return ExpConcrete(self.temperature, logits=logits).to_event(int(self.groups > 1))

    def prior(self):
        """All classes alike."""
        return self.posterior(self.zero.expand(self.num_parameters))

    def code(self, z: Tensor) -> Tensor:
        """One-hot vectors or weights, side by side."""
        weights = z if self.temperature is None else z.exp()
        return weights if self.groups == 1 else weights.flatten(-2)

    def centre(self, q) -> Tensor:
        """The likeliest class of every variable; of relaxed ones, the mode of the log-weights."""
        q = q.base_dist if self.groups > 1 else q
        if self.temperature is not None:
            return q.mode
        return one_hot(q.logits.argmax(-1), self.classes).to(q.logits.dtype)
