"""``Check``: all findings about one pair, for people and for programs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyro_vae.studies.checking.finding import Finding

if TYPE_CHECKING:
    import pandas as pd

_WIDTH = 80
_COLUMNS = ("severity", "code", "site", "plate", "parameter", "what", "why", "instead", "line", "where")


@dataclass(frozen=True)
class Check:
    """What :func:`~pyro_vae.check` found, errors first; iterate over it, print it, or ask for its ``table()``.

    ``ok`` says that there is no error; warnings may remain. A ``Check`` is true whatever it found: ask ``ok``.
    """

    findings: tuple[Finding, ...]
    model: str = "model"
    guide: str | None = "guide"

    @property
    def ok(self) -> bool:
        """No error was found."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make a fit fail, or its result wrong."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that may be meant so."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return "\n\n".join([self.headline, *map(paragraph, self.findings)])

    @property
    def headline(self) -> str:
        """One line: how much was found, of which pair."""
        pair = f"model '{self.model}'" + (f" and guide '{self.guide}'" if self.guide is not None else ", alone")
        if not self.findings:
            return f"Nothing wrong was found with {pair}."
        parts = [_counted(self.errors, "error"), _counted(self.warnings, "warning")]
        return f"{' and '.join(part for part in parts if part)} in {pair}:"

    def called(self, model: str, guide: str | None) -> Check:
        """The same under the names that a program gives to model and guide."""
        return replace(self, model=model, guide=guide)

    def table(self) -> pd.DataFrame:
        """A row per finding: severity, code, site, plate, parameter, what, why, instead, line, where."""
        import pandas as pd

        rows = [
            {**{name: getattr(finding, name) for name in _COLUMNS[:-1]}, "where": _text(finding.where)}
            for finding in self.findings
        ]
        return pd.DataFrame(rows, columns=list(_COLUMNS))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _counted(findings: tuple[Finding, ...], word: str) -> str:
    return f"{len(findings)} {word}{'s' if len(findings) > 1 else ''}" if findings else ""


def paragraph(finding: Finding, *, line: bool = True) -> str:
    """A finding as a few lines of at most 80 columns; words, paths and strings in code are not broken."""
    place = f"  {finding.where}" if finding.where is not None else ""
    lines = [f"{finding.severity}: {finding.code}{place}", _folded(finding.what)]
    lines += [_folded(f"Why: {finding.why}"), _folded(f"Do: {finding.instead}")]
    if line and finding.line:
        lines.append(_code(finding.line))
    return "\n".join(lines)


def _code(line: str) -> str:
    """A line of code, indented, and folded between arguments where it is too long; strings are not broken."""
    kept = re.sub(r"'[^']*'|\"[^\"]*\"", lambda match: match[0].replace(" ", "\0"), line)
    return _filled(kept, "    ", "        ").replace("\0", " ")


def _folded(text: str) -> str:
    return _filled(text, "  ", "  ")


def _filled(text: str, first: str, rest: str) -> str:
    return textwrap.fill(
        text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
