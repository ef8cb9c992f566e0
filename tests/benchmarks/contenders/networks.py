"""The networks that our VAE and the hand-written one share, layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Pixels to the mean and the standard deviation of the latents."""

    def __init__(self, pixels: int, hidden: int, latents: int):
        super().__init__()
        self.hidden = nn.Linear(pixels, hidden)
        self.loc = nn.Linear(hidden, latents)
        self.log_variance = nn.Linear(hidden, latents)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[batch, pixels]`` to twice ``[batch, latents]``."""
        hidden = torch.relu(self.hidden(x))
        return self.loc(hidden), torch.exp(0.5 * self.log_variance(hidden))


class Decoder(nn.Module):
    """Latents to the logits of the pixels."""

    def __init__(self, pixels: int, hidden: int, latents: int):
        super().__init__()
        self.latents = latents
        self.hidden = nn.Linear(latents, hidden)
        self.logits = nn.Linear(hidden, pixels)

    def forward(self, z: Tensor) -> Tensor:
        """``[..., latents]`` to ``[..., pixels]``."""
        return self.logits(torch.relu(self.hidden(z)))


class HandWritten(nn.Module):
    """A VAE as people write it in PyTorch: reconstruction plus KL, summed over the batch."""

    def __init__(self, encoder: Encoder, decoder: Decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        """The negative ELBO of a batch ``[batch, pixels]``, in nats."""
        loc, scale = self.encoder(x)
        logits = self.decoder(loc + scale * torch.randn_like(scale))
        reconstruction = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return reconstruction - 0.5 * torch.sum(1 + 2 * scale.log() - loc**2 - scale**2)
