"""Factors in expectation over the sites that the guide enumerates, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import opt_einsum
import torch
from pyro.ops import packed
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Plate
from pyro_vae.particles.handlers import frames_to_plates
from pyro_vae.particles.runs import Run
from pyro_vae.particles.symbols import Symbols


@dataclass(frozen=True)
class _Conditional:
    """A site that the guide enumerates: its probabilities given its parents, packed, and its plates."""

    site: str
    probs: Tensor
    plates: tuple[Plate, ...]


class Expectation:
    """The expectation under a guide's enumerated sites, of terms that vary with some of them.

    A term is weighted by the joint probability of the sites that it varies with, their ancestors summed out: row by row
    of the plates, and no axis enters that the term, or the ancestry of its own sites, does not have.
    """

    def __init__(self, run: Run, symbols: Symbols) -> None:
        self._symbols = symbols
        self._conditionals: dict[str, _Conditional] = {}
        for name, site in run.guide.items():
            symbol = symbols.of_site(site)
            if symbol is not None:
                probs: Any = packed.exp(symbols.conditional(site))
                self._conditionals[symbol] = _Conditional(name, probs, _plates(site))

    def of(self, value: Tensor, plates: tuple[Plate, ...], name: str) -> Tensor:
        """The expectation of a packed term of site ``name``, ``[K, *plates]``, live in value and probabilities.

        Raises :class:`~pyro_vae.errors.ModelError` for a term outside the plate of a site that it varies with.
        """
        target = self._among(value)
        if target:
            above = self._ancestry(target)
            self._check_plates(above, plates, name)
            weights, value = packed.broadcast_all(self._weights(above, target), value)
            dims = weights._pyro_dims
            # what cannot happen does not count: 0 log 0 is 0
            product = weights * torch.where(weights > 0, value, torch.zeros_like(value))
            value = product.sum([dims.index(symbol) for symbol in target])
            value._pyro_dims = "".join(symbol for symbol in dims if symbol not in target)  # type: ignore[attr-defined]
        return self._symbols.unpack(value, plates)

    def varies_with(self, site: Mapping[str, Any]) -> tuple[str, ...]:
        """The guide's other enumerated sites for each of whose values the site was drawn."""
        log_q = self._symbols.pack(site, self._symbols.log_prob(site))
        found = (self._conditionals[symbol].site for symbol in self._among(log_q))
        return tuple(name for name in found if name != site["name"])

    def _among(self, value: Tensor) -> list[str]:
        """The symbols of enumerated sites that a packed tensor has axes for."""
        return [symbol for symbol in value._pyro_dims if symbol in self._conditionals]  # type: ignore[attr-defined]

    def _ancestry(self, symbols: Iterable[str]) -> list[str]:
        """The given enumerated sites and those that their probabilities depend on, in the guide's order."""
        found: set[str] = set()
        pending = list(symbols)
        while pending:
            symbol = pending.pop()
            if symbol not in found:
                found.add(symbol)
                pending.extend(self._among(self._conditionals[symbol].probs))
        return [symbol for symbol in self._conditionals if symbol in found]

    def _weights(self, above: list[str], target: list[str]) -> Tensor:
        """The joint probability of the ``target`` sites, packed, with their other ancestors summed out."""
        terms = [self._conditionals[symbol].probs for symbol in above]
        inputs = [term._pyro_dims for term in terms]  # type: ignore[attr-defined]
        dims = sorted(set("".join(inputs)))
        output = "".join(symbol for symbol in dims if symbol not in self._conditionals or symbol in target)
        if len(terms) == 1:
            return terms[0]
        weights = opt_einsum.contract(",".join(inputs) + "->" + output, *terms, backend="torch")
        weights._pyro_dims = output
        return weights

    def _check_plates(self, above: Iterable[str], plates: tuple[Plate, ...], name: str) -> None:
        present = {plate.name for plate in plates if plate.vectorized}
        for symbol in above:
            conditional = self._conditionals[symbol]
            for plate in conditional.plates:
                if plate.vectorized and plate.name not in present:
                    raise ModelError(
                        f"Site '{name}' is outside plate '{plate.name}' but depends on site '{conditional.site}', "
                        f"which is enumerated inside it: the sum would run over all combinations of its rows. Take "
                        f"`infer={{'enumerate': ...}}` out of '{conditional.site}' and use ScoreFunction(), or move "
                        f"'{name}' into the plate."
                    )


def _plates(site: Mapping[str, Any]) -> tuple[Plate, ...]:
    return tuple(plate for plate, _ in frames_to_plates(site))
