"""Posterior collapse, said in words: which latents are not used, what that costs, and what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LEAST_INFORMATION = 0.05  # nats per row that a code has to carry, or be worth to the decoder
_NAMED = 6
_REMEDIES = (
    "free bits (fit(free_bits=...)), annealing of the KL (fit(annealing=LinearAnnealing(...))), a decoder that is "
    "weaker by itself (for sentences, word dropout: SequenceDecoder(word_dropout=...))"
)


@dataclass(frozen=True)
class Collapse:
    """``level``: "none", "some" latents unused, "ignored" by the decoder, or "whole"; ``components`` that collapsed;
    ``share`` of the KL that they have; ``reason`` and ``advice`` in words."""

    level: Literal["none", "some", "ignored", "whole"]
    components: tuple[str, ...]
    share: float
    reason: str
    advice: str

    @property
    def collapsed(self) -> bool:
        """Whether the code as a whole is lost."""
        return self.level in ("whole", "ignored")


def posterior_collapse(table: pd.DataFrame, worth: float, worth_error: float) -> Collapse:
    """Whether the code is used, from two sides: what the encoder puts into it, and what the decoder makes of it.

    The code is lost as a whole if its KL is below .05 nats per row, or if every component has collapsed; and it is
    ignored if the data are explained as well with the code of another row. Single components that have collapsed are
    what a VAE with more latents than it needs looks like: they are named, and do no harm.

    Args:
        table: as :func:`latent_table` makes it.
        worth: how much log p(x | z) falls, in nats per row, when z is that of another row.
        worth_error: its standard error.

    Source: S. R. Bowman et al., "Generating sentences from a continuous space", CoNLL 2016; B. Dai, Z. Wang, D. Wipf,
    "The usual suspects? Reassessing blame for VAE posterior collapse", ICML 2020.

    >>> from pyro_vae.diagnostics import latent_table
    >>> table = latent_table([[0.9, 0.001], [1.1, 0.001]], ["z[0]", "z[1]"])
    >>> print(posterior_collapse(table, worth=3.0, worth_error=0.1).reason)
    1 of 2 latents is not used (z[1]): it has 0.1 % of the KL.
    """
    collapsed = table["collapsed"].to_numpy(dtype=bool)
    unused = [str(name) for name, lost in zip(table.index, collapsed, strict=True) if lost]
    total, share = float(table["kl"].to_numpy().sum()), float(table["share"].to_numpy()[collapsed].sum())
    if len(unused) == len(table) or total < LEAST_INFORMATION:
        reason = (
            f"Posterior collapse: the latents carry {total:.3f} nats per row in all, and q(z | x) is the prior for "
            f"every row ({len(unused)} of {len(table)} are below 0.01 nats). The model does without z: samples may be "
            "good, but a code says nothing of its row."
        )
        return Collapse("whole", tuple(unused), share, reason, _advice())
    if worth < max(2 * worth_error, LEAST_INFORMATION):
        reason = (
            f"Posterior collapse: the encoder puts {total:.2f} nats per row into z, but the decoder ignores them: with "
            f"the code of another row the data are explained as well (log p(x | z) falls by {worth:.3f} ± "
            f"{worth_error:.3f} nats)."
        )
        return Collapse("ignored", tuple(unused), share, reason, _advice())
    if unused:
        named = f"{len(unused)} of {len(table)} latents"
        verb, they = ("is", "it has") if len(unused) == 1 else ("are", "they have")
        reason = f"{named} {verb} not used ({_listed(unused)}): {they} {100 * share:.1f} % of the KL."
        advice = (
            "This does no harm: the data were written with fewer numbers. If more were expected to be used, try free "
            "bits or annealing, and see whether the bound rises."
        )
        return Collapse("some", tuple(unused), share, reason, advice)
    latents = "The latent is" if len(table) == 1 else f"All {len(table)} latents are"
    reason = (
        f"{latents} used: {total:.2f} nats per row. With the code of another row log p(x | z) falls by {worth:.2f} ± "
        f"{worth_error:.2f} nats."
    )
    return Collapse("none", (), share, reason, "")


def _advice() -> str:
    return (
        f"What holds a code open: {_REMEDIES}. A higher bound without a code means that the decoder does not need one: "
        "then a simpler model says the same."
    )


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:_NAMED])
    return ", ".join(shown) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def worth_of_code(own: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The mean fall of log p(x | z), and its standard error, from rows with their own z ``[N]`` to another's ``[N]``.

    >>> worth_of_code(np.array([-1.0, -2.0]), np.array([-3.0, -5.0]))
    (2.5, 0.5)
    """
    fall = np.asarray(own, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    error = float(fall.std(ddof=1) / np.sqrt(len(fall))) if len(fall) > 1 else float("nan")
    return float(fall.mean()), error
