"""Findings about programs that fail before they have ended."""

from __future__ import annotations

from collections.abc import Iterator

from pyro.infer.autoguide import AutoGuide

from pyro_vae.particles.enumerated import is_marked
from pyro_vae.particles.packing import first_sentence
from pyro_vae.potential.sites import is_discrete
from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.look import Look
from pyro_vae.studies.checking.visiting import Visit

_EXPLAINED = ("signature", "plate-and-data", "bad-parameter", "same-name-twice", "name-clash", "parameter-dtype",
              "observed-not-tensor", "guide-has-obs", "parameter-left", "plate-size", "plate-subsample")  # fmt: skip
_UNFIT = ("shape", "event", "support", "kind", "plate-missing", "plate-extra", "plate-dim", "missing-site")
_HINTS = (
    ("same dtype", "Data and parameters are of different precision: bring the data to float32 with x.float()."),
    (
        "expected scalar type",
        "Data and parameters are of different precision: bring the data to float32 with x.float().",
    ),
    (
        "mat1 and mat2",
        "Look at the last dims of the two factors of that matrix product: a layer expects another width.",
    ),
    ("collide", "Two nested plates share a dim: give each its own with dim=-1, dim=-2."),
    ("must match the size", "Two tensors there have different lengths: print their shapes just before that line."),
    ("NoneType", "Something is None there: an argument that was not given, or a function that returns nothing."),
)


def failing(look: Look) -> Iterator[Finding]:
    """A program raises an error."""
    if look.has(*_EXPLAINED):
        return
    together = look.alone is not None and look.alone.error is None
    if together and look.has(*_UNFIT):
        return
    for visit in (look.of_guide, look.of_model if together else look.visited):
        if visit.error is not None and (visit.role == "model" or not isinstance(look.guide, AutoGuide)):
            alone = " On its own the model runs: it is the guide's values that it cannot take." if together else ""
            yield Finding(
                f"The {visit.role} fails {_place(visit)}: {type(visit.error).__name__}: {first_sentence(visit.error)}"
                f"{alone}",
                _advice(visit, bool(alone)),
                site=_last(visit),
                where=visit.failed_at,
            )


def _last(visit: Visit) -> str | None:
    if visit.failing is not None:
        return visit.failing["name"]
    return visit.samples[-1].name if visit.samples else None


def _place(visit: Visit) -> str:
    last = _last(visit)
    if last is None:
        return "before its first site"
    return f"at site '{last}'" if visit.failing is not None else f"after site '{last}'"


def _advice(visit: Visit, together: bool) -> str:
    text = str(visit.error)
    for key, hint in _HINTS:
        if key in text:
            return hint
    if together:
        return "Compare shapes and supports of the guide's sites with the model's."
    return f"Call the {visit.role} by itself with these data, {visit.role}(...), and follow the error to its line."


def unfit_autoguide(look: Look) -> Iterator[Finding]:
    """An automatic guide cannot be made for this model."""
    if not isinstance(look.guide, AutoGuide) or look.of_guide.error is None or look.of_model.error is not None:
        return
    discrete = [name for name, one in look.latent.items() if is_discrete(one.fn) and not is_marked(one.message)]
    name = discrete[0] if discrete else None
    yield Finding(
        f"{type(look.guide).__name__} cannot be made for this model"
        + (
            f": site '{name}' is discrete, and such a guide is for continuous sites."
            if name
            else f": {first_sentence(look.of_guide.error)}"
        ),
        "Let the model sum the site out exactly with infer={'enumerate': 'parallel'}, where its values are few (and in "
        "a plate, not under .to_event); or write a guide that draws it."
        if name
        else "Write the guide by hand, or take another automatic guide, such as auto_normal.",
        site=name,
        where=look.of_model.where(name) if name else None,
        line=_enumerated(look, name) if name and look.latent[name].fn.has_enumerate_support else None,
    )


def _enumerated(look: Look, name: str) -> str | None:
    from pyro_vae.studies.checking.source import with_keyword

    where = look.of_model.where(name)
    return where and where.corrected(with_keyword("infer", "{'enumerate': 'parallel'}"))
