"""``ConvEncoder`` and ``ConvDecoder``: each layer halves, or doubles, an image's sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from pyro_vae.errors import OptionError
from pyro_vae.nets.rows import as_shape, check_event, check_positive, on_rows


class ConvEncoder(nn.Module):
    """Strided convolutions (3 x 3, stride 2) and one linear layer: images to vectors.

    Args:
        in_shape: channels, height and width of an image.
        out_shape: the shape of one output.
        channels: of each layer's output; each halves height and width, rounding up.
        activation: a class of activations.

    Shapes: ``[*lead, C, H, W]`` -> ``[*lead, *out_shape]``.

    Raises:
        OptionError: an ``in_shape`` that is not (C, H, W), sizes that are not positive, no layer at all.
        DataError: images of another shape.

    >>> import torch
    >>> ConvEncoder((1, 8, 8), 20)(torch.zeros(3, 5, 1, 8, 8)).shape
    torch.Size([3, 5, 20])
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_shape: int | Sequence[int],
        channels: Sequence[int] = (16, 32),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ):
        super().__init__()
        self.in_shape, self.out_shape = _image("in_shape", in_shape), as_shape("out_shape", out_shape)
        _check_channels(channels)
        layers: list[nn.Module] = []
        for before, after in pairwise((self.in_shape[0], *channels)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), activation()]
        height, width = _sides(self.in_shape, len(channels))[-1]
        layers += [nn.Flatten(), nn.Linear(channels[-1] * height * width, self.out_shape.numel())]
        self.layers = nn.Sequential(*layers, nn.Unflatten(1, self.out_shape))

    def forward(self, x: Tensor) -> Tensor:
        """``[*lead, C, H, W]`` -> ``[*lead, *out_shape]``."""
        check_event(self, x, self.in_shape)
        return on_rows(self.layers, x, 3)


class ConvDecoder(nn.Module):
    """One linear layer and transposed convolutions (3 x 3, stride 2): vectors to images of any size.

    Args:
        in_shape: the shape of one input.
        out_shape: channels, height and width of an image.
        channels: of each layer's input; each layer doubles height and width.
        activation: a class of activations.

    Shapes: ``[*lead, *in_shape]`` -> ``[*lead, C, H, W]``.

    Raises:
        OptionError: an ``out_shape`` that is not (C, H, W), sizes that are not positive, no layer at all.
        DataError: an input of another shape.

    >>> import torch
    >>> ConvDecoder(10, (3, 7, 9))(torch.zeros(16, 5, 10)).shape
    torch.Size([16, 5, 3, 7, 9])
    """

    def __init__(
        self,
        in_shape: int | Sequence[int],
        out_shape: Sequence[int],
        channels: Sequence[int] = (32, 16),
        activation: Callable[[], nn.Module] = nn.ReLU,
    ):
        super().__init__()
        self.in_shape, self.out_shape = as_shape("in_shape", in_shape), _image("out_shape", out_shape)
        _check_channels(channels)
        sides = _sides(self.out_shape, len(channels))[::-1]
        first = (channels[0], *sides[0])
        layers: list[nn.Module] = [
            nn.Flatten(),
            nn.Linear(self.in_shape.numel(), first[0] * first[1] * first[2]),
            nn.Unflatten(1, first),
        ]
        for (before, after), (small, large) in zip(
            pairwise((*channels, self.out_shape[0])), pairwise(sides), strict=True
        ):
            extra = tuple(big - (2 * side - 1) for side, big in zip(small, large, strict=True))
            layers += [
                activation(),
                nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=extra),  # type: ignore[arg-type]
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """``[*lead, *in_shape]`` -> ``[*lead, C, H, W]``."""
        check_event(self, z, self.in_shape)
        return on_rows(self.layers, z, len(self.in_shape))


def _image(name: str, shape: Sequence[int]) -> tuple[int, int, int]:
    image = as_shape(name, shape)
    if len(image) != 3:
        raise OptionError(f"{name}: expected (channels, height, width) of an image, got {tuple(image)}.")
    return image[0], image[1], image[2]


def _check_channels(channels: Sequence[int]) -> None:
    if not channels:
        raise OptionError("channels: expected at least one layer, got none. For a net without convolutions use MLP.")
    for count in channels:
        check_positive(channels=count)


def _sides(image: tuple[int, int, int], layers: int) -> list[tuple[int, int]]:
    """Height and width before each layer that halves them, and after the last."""
    sides = [image[1:]]
    for _ in range(layers):
        sides.append(((sides[-1][0] + 1) // 2, (sides[-1][1] + 1) // 2))
    return sides
