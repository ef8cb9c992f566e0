"""``MLP``: the net of fully connected layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from pyro_vae.nets.rows import as_shape, check_event, check_positive


class MLP(nn.Module):
    r"""Fully connected layers, :math:`h_{l+1} = f(W_l h_l + b_l)`, the last of them linear.

    Without hidden layers it is an affine map. Images and tables go in and come out in their own shape.

    Args:
        in_shape: the shape of one input, a number or a tuple.
        out_shape: the shape of one output.
        hidden: the widths of the hidden layers.
        activation: a class of activations, made once per hidden layer.

    Shapes: ``[*lead, *in_shape]`` -> ``[*lead, *out_shape]``, in the dtype of the parameters.

    Raises:
        OptionError: sizes that are not positive whole numbers.
        DataError: an input of another shape.

    >>> import torch
    >>> MLP((1, 8, 8), 32)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 32])
    """

    def __init__(
        self,
        in_shape: int | Sequence[int],
        out_shape: int | Sequence[int],
        hidden: Sequence[int] = (128,),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ):
        super().__init__()
        self.in_shape, self.out_shape = as_shape("in_shape", in_shape), as_shape("out_shape", out_shape)
        for width in hidden:
            check_positive(hidden=width)
        widths = [self.in_shape.numel(), *hidden, self.out_shape.numel()]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), activation()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """``[*lead, *in_shape]`` -> ``[*lead, *out_shape]``."""
        check_event(self, x, self.in_shape)
        lead = x.shape[: x.dim() - len(self.in_shape)]
        return self.layers(x.reshape(*lead, -1)).reshape(*lead, *self.out_shape)
