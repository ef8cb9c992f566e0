"""``Finding``: one thing that is wrong, in words, with the line to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pyro_vae.particles.enumerated import ENUMERATION_REMEDY
from pyro_vae.studies.checking.source import Where

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a pair.

    ``what`` says it in a sentence, ``why`` why it matters, ``instead`` what to write. ``line`` is the corrected line of
    code where it can be told, ``where`` the statement that is at fault. Of ``site``, ``plate`` and ``parameter`` those
    are given that it is about. ``code`` is its name in the table of all findings; an ``"error"`` makes a fit fail or
    its result wrong, a ``"warning"`` may be meant so.
    """

    what: str
    instead: str
    site: str | None = None
    plate: str | None = None
    parameter: str | None = None
    line: str | None = None
    where: Where | None = None
    why: str = ""
    code: str = ""
    severity: Severity = "error"

    @property
    def subject(self) -> str:
        """What it is about, for people: ``site 'z'``."""
        named = (("site", self.site), ("plate", self.plate), ("parameter", self.parameter))
        return ", ".join(f"{kind} '{name}'" for kind, name in named if name is not None)


# Where an error that quotes another library begins to say what to do.
_REMEDIES = (ENUMERATION_REMEDY, "Run the model alone", "Run the guide alone", "Check the site's parameters")


def sentences(error: Exception | str) -> tuple[str, str]:
    """An error of this library as what is wrong and what to do: its first sentence, and the rest."""
    text = str(error)
    for remedy in _REMEDIES:
        what, found, rest = text.partition(remedy)
        if found:
            return what.strip(), found + rest
    what, dot, instead = text.partition(". ")
    return (f"{what}.", instead) if dot else (what, "")
