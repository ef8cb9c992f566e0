"""The likelihood of a hidden Markov chain, for the programs beside this file. Not a program itself."""

from __future__ import annotations

import torch
from torch import Tensor


def log_likelihood(transition: Tensor, emission: Tensor) -> Tensor:
    """The log of the sum over all paths of states, ``[...]``: the forward algorithm.

    ``transition`` ``[..., K, K]`` has the probabilities of going from a state (row) to the next one; ``emission``
    ``[..., T, K]`` the log density of each observation in each state. Every first state has the weight 1. Neighbouring
    steps are multiplied in pairs, so that it takes log T rounds and not T.
    """
    steps = transition.log().unsqueeze(-3) + emission[..., 1:, :].unsqueeze(-2)
    while steps.shape[-3] > 1:
        even = steps.shape[-3] // 2 * 2
        steps = torch.cat(
            [_product(steps[..., 0:even:2, :, :], steps[..., 1:even:2, :, :]), steps[..., even:, :, :]], -3
        )
    paths = emission[..., 0, :].unsqueeze(-1) + steps.squeeze(-3)
    return paths.logsumexp((-2, -1))


def _product(first: Tensor, second: Tensor) -> Tensor:
    """The matrix product of ``exp(first)`` and ``exp(second)``, as a log."""
    return (first.unsqueeze(-1) + second.unsqueeze(-3)).logsumexp(-2)
