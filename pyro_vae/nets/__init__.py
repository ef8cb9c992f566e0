"""Encoders and decoders: torch modules that know nothing of Pyro, distributions or objectives.

All of them take any number of leading dimensions, ``[*lead, ...]``: the rows of a batch, and the particles ``[K, N]``
that an estimator draws at once. Sentences are whole numbers padded on the right, see :mod:`~pyro_vae.nets.tokens`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyro_vae.nets.conv import ConvDecoder as ConvDecoder
    from pyro_vae.nets.conv import ConvEncoder as ConvEncoder
    from pyro_vae.nets.mlp import MLP as MLP
    from pyro_vae.nets.search import beam_search as beam_search
    from pyro_vae.nets.search import greedy as greedy
    from pyro_vae.nets.search import sampled as sampled
    from pyro_vae.nets.sequence_decoder import SequenceDecoder as SequenceDecoder
    from pyro_vae.nets.sequence_encoder import SequenceEncoder as SequenceEncoder
    from pyro_vae.nets.tokens import END as END
    from pyro_vae.nets.tokens import PAD as PAD
    from pyro_vae.nets.tokens import lengths as lengths

_HOME = {
    "END": "tokens",
    "PAD": "tokens",
    "ConvDecoder": "conv",
    "ConvEncoder": "conv",
    "MLP": "mlp",
    "SequenceDecoder": "sequence_decoder",
    "SequenceEncoder": "sequence_encoder",
    "beam_search": "search",
    "greedy": "search",
    "lengths": "tokens",
    "sampled": "search",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
