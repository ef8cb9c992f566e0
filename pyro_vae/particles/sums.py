"""Sites that the model alone enumerates: the factors that involve them become one, the log of their summed product."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyro.ops.contract import contract_tensor_tree
from torch import Tensor

from pyro_vae.errors import ModelError
from pyro_vae.particles.data import Factor, Plate
from pyro_vae.particles.enumerated import ENUMERATION_REMEDY
from pyro_vae.particles.expectation import Expectation
from pyro_vae.particles.handlers import frames_to_plates, is_function
from pyro_vae.particles.packing import masked, own_scale
from pyro_vae.particles.runs import Run
from pyro_vae.particles.symbols import Symbols


@dataclass(frozen=True)
class Sum:
    """Model factors that became one, in the plates that all of them share.

    ``name`` is that of the one member that is not summed over, if it lies in just these plates: the factor is then its
    marginal. Else the sum has a name of its own.
    """

    name: str
    members: tuple[str, ...]
    factor: Factor


_Members = list[tuple[str, Tensor]]  # sites with their packed log-probabilities


def summed_sites(run: Run, symbols: Symbols) -> dict[str, str]:
    """Symbol -> site, of the sites that the model alone enumerates."""
    found = {symbols.of_site(site): name for name, site in run.model.items() if name not in run.guide}
    return {symbol: name for symbol, name in found.items() if symbol is not None}


def sum_out(run: Run, symbols: Symbols, expectation: Expectation) -> tuple[Sum, ...]:
    """One :class:`Sum` for every group of the model's factors that share enumerated sites.

    Raises :class:`~pyro_vae.errors.ModelError` naming the sites or the plate that cannot be summed.
    """
    summed = summed_sites(run, symbols)
    groups = _groups(run, symbols, summed) if summed else []
    return tuple(_sum(run, members, summed, symbols, expectation) for members in groups)


def _groups(run: Run, symbols: Symbols, summed: Mapping[str, str]) -> list[_Members]:
    groups: list[tuple[frozenset[str], _Members]] = []
    for name, site in run.model.items():
        if is_function(site):
            continue
        enumerated = name in summed.values()
        value = symbols.conditional(site) if enumerated else symbols.pack(site, masked(site, symbols.log_prob(site)))
        own = summed.keys() & set(value._pyro_dims)  # type: ignore[attr-defined]
        if own:
            joined = [group for group in groups if group[0] & own]
            groups = [group for group in groups if not group[0] & own]
            members = [member for _, found in joined for member in found]
            groups.append((frozenset(own).union(*(axes for axes, _ in joined)), [*members, (name, value)]))
    # what nothing depends on sums to 1
    return [members for _, members in groups if any(name not in summed.values() for name, _ in members)]


def _sum(run: Run, members: _Members, summed: Mapping[str, str], symbols: Symbols, expectation: Expectation) -> Sum:
    sites = {name: run.model[name] for name, _ in members}
    plates = _common_plates(sites)
    tree: OrderedDict[frozenset[str], list[Tensor]] = OrderedDict()
    for name, value in members:
        tree.setdefault(symbols.of_frames(sites[name]), []).append(value)
    inside = [name for name in sites if name in summed.values()]
    others = [name for name in sites if name not in inside]
    try:
        ((value,),) = contract_tensor_tree(tree, set(summed)).values()
    except (ValueError, NotImplementedError) as error:
        raise ModelError(f"Sites {inside} cannot be summed out: {error} {ENUMERATION_REMEDY}") from error
    hosted = len(others) == 1 and _plates(sites[others[0]]) == plates
    log_prob = expectation.of(value, plates, inside[0])
    name = others[0] if hosted else f"sum_over_{inside[0]}"
    return Sum(name, tuple(sites), Factor(log_prob, plates, _common_scale(sites, run.particle_dim)))


def _common_plates(sites: Mapping[str, Any]) -> tuple[Plate, ...]:
    """The plates around all sites. Another one must hold all of its rows: a part of them has no sum to scale up."""
    around = {name: _plates(site) for name, site in sites.items()}
    common = [plate for plate in next(iter(around.values())) if all(plate in plates for plates in around.values())]
    for name, plates in around.items():
        for plate in plates:
            if plate not in common and plate.size != plate.full_size:
                outside = next(other for other in sites if plate not in around[other])
                raise ModelError(
                    f"Site '{name}' is in plate '{plate.name}', which holds {plate.size} of {plate.full_size} rows, "
                    f"and is summed together with site '{outside}' outside it: that sum needs all rows. Use all rows, "
                    f"or sample the enumerated sites outside the plate in the guide."
                )
    return tuple(common)


def _common_scale(sites: Mapping[str, Any], particle_dim: int | None) -> Tensor | float:
    """The one ``poutine.scale`` of all sites, which multiplies the log of their sum."""
    scales = {name: own_scale(site, _plates(site), particle_dim) for name, site in sites.items()}
    first, scale = next(iter(scales.items()))
    for name, other in scales.items():
        if (isinstance(other, Tensor) and other.dim() > 0) or float(other) != float(scale):
            raise ModelError(
                f"Sites '{first}' and '{name}' are summed together, and their `poutine.scale`s are not one number: "
                f"it multiplies the log of the sum. Put one `poutine.scale` around all of {list(sites)}."
            )
    return scale


def _plates(site: Mapping[str, Any]) -> tuple[Plate, ...]:
    return tuple(plate for plate, _ in frames_to_plates(site))
