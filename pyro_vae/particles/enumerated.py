"""Discrete sites that take all their values at once: which ones, and how a program is run with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyro import poutine
from pyro.poutine.enum_messenger import EnumMessenger
from pyro.poutine.messenger import Messenger

from pyro_vae.errors import ModelError

ENUMERATION_REMEDY = (
    "Index with Vindex, use negative dims, and wrap a chain of discrete sites in pyro.markov, as Pyro's tutorial on "
    "enumeration shows."
)


@dataclass(frozen=True)
class Enumeration:
    """What is enumerated of a pair, and where the axes go: ``dim`` and what lies left of it.

    ``guide`` names the guide's enumerated sites (which are in the model too, unless auxiliary), ``model`` those of the
    model alone, as a first run had them; whatever else asks for it in a later run is enumerated as well, in the guide
    only if ``of_guide``. ``left_out`` are deterministic sites that are functions of enumerated ones: they have no
    single value.
    """

    guide: frozenset[str] = frozenset()
    model: frozenset[str] = frozenset()
    dim: int = -1
    left_out: frozenset[str] = frozenset()
    of_guide: bool = True

    @property
    def without_value(self) -> frozenset[str]:
        """The model's sites that a draw gives no value for."""
        return self.model | self.left_out

    @contextmanager
    def applied(self, role: str, known: Collection[str]) -> Iterator[None]:
        """Run guide or model (``role``) inside; sites whose values are ``known`` are not enumerated.

        The model's axes go left of the guide's, which ran just before it.
        """

        def wanted(site: Mapping[str, Any]) -> bool:
            if site["name"] in known:
                return False
            return (is_marked(site) and (role == "model" or self.of_guide)) or site["name"] in self.model

        first = None if role == "model" and self.guide else self.dim
        with EnumMessenger(first_available_dim=first), _Marked(wanted):
            yield


class _Marked(Messenger):
    """Exactly the wanted sites ask for parallel enumeration, whatever they asked for before."""

    def __init__(self, wanted: Callable[[Mapping[str, Any]], bool]) -> None:
        super().__init__()
        self.wanted = wanted

    def _pyro_sample(self, msg: dict) -> None:
        if self.wanted(msg):
            msg["infer"]["enumerate"] = "parallel"
        else:
            msg["infer"].pop("enumerate", None)


def is_marked(site: Mapping[str, Any]) -> bool:
    """Whether a latent site asks to be enumerated: ``infer={"enumerate": "parallel"}``, or ``"sequential"``, which
    gives the same sum."""
    return site["type"] == "sample" and not site["is_observed"] and bool(site["infer"].get("enumerate"))


def find_enumeration(
    model: Mapping[str, Any], guide: Mapping[str, Any], program: Callable, dim: int, *, enumerate_guide: bool
) -> Enumeration | None:
    """What is enumerated of a pair whose ``guide`` is ``program``, given the sites of a run of both; None: nothing.

    Raises :class:`~pyro_vae.errors.ModelError` naming a site that asks for it and cannot be enumerated.
    """
    in_guide = {name: site for name, site in guide.items() if enumerate_guide and is_marked(site)}
    in_model = {name: site for name, site in model.items() if name not in guide and is_marked(site)}
    for name, site in (in_guide | in_model).items():
        _check_support(name, site)
    if not in_guide and not in_model:
        return None
    if isinstance(poutine.unwrap(program), Messenger):
        name = next(iter(in_guide | in_model))
        raise ModelError(
            f"Site '{name}' is to be enumerated, but the guide runs the model itself (a GuideMessenger): use an "
            f"ordinary autoguide such as AutoNormal, or a guide function, or take `infer={{'enumerate': ...}}` out."
        )
    return Enumeration(frozenset(in_guide), frozenset(in_model), dim, of_guide=enumerate_guide)


def _check_support(name: str, site: Mapping[str, Any]) -> None:
    fn, kind = site["fn"], type(site["fn"]).__name__
    if site["infer"]["enumerate"] not in ("parallel", "sequential"):
        raise ModelError(
            f"Site '{name}' has `infer={{'enumerate': {site['infer']['enumerate']!r}}}`: expected 'parallel' "
            f"('sequential' is understood as the same)."
        )
    if site["infer"].get("num_samples") is not None:
        raise ModelError(
            f"Site '{name}' has `infer={{'num_samples': ...}}`, which draws values instead of taking all of them: take "
            f"it out for the exact sum over a finite support, or use num_particles of the objective for more draws."
        )
    try:
        fn.enumerate_support(expand=False)
    except (NotImplementedError, AttributeError) as error:
        raise ModelError(
            f"Site '{name}' ({kind}) has `infer={{'enumerate': ...}}`, but its values cannot be listed: expected a "
            f"distribution with finite support, such as Bernoulli or Categorical, and a plate around independent "
            f"entries instead of `.to_event()` (Pyro says: {str(error) or 'not implemented'}). Take the option out "
            f"to sample the site in the guide."
        ) from error
