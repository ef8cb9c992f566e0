"""A figure as SVG inside a page: no outside references, no clashing ids, colours that are the page's."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from pyro_vae.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_NAMESPACE = re.compile(r'\s+xmlns(:\w+)?="[^"]*"')
_REFERENCE = re.compile(r'(id="|href="#|url\(#)')
_PATH = re.compile(r' d="[^"]*"')
_LONG_NUMBER = re.compile(r"(\d+\.\d{2})\d+")


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an ``<svg>`` element for an HTML page; ``label`` is what a screen reader says of it.

    Every id is prefixed with ``name``, so that several figures share a page. Every colour of ``plots.style`` becomes
    ``var(--c-RRGGBB)``, which the page's style sheet (:func:`colour_variables`) gives a light and a dark value.
    """
    written = io.StringIO()
    style.save(figure, written, "svg")
    svg = _PROLOGUE.sub("", written.getvalue())
    svg = _METADATA.sub("", svg)
    opening, rest = svg.split(">", 1)
    opening = re.sub(r'\s(?:width|height|version)="[^"]*"', "", _NAMESPACE.sub("", opening))
    rest = _REFERENCE.sub(rf"\g<1>{name}-", rest)
    rest = _PATH.sub(lambda path: _LONG_NUMBER.sub(r"\1", path[0]), rest)
    for colour in style.DARK:
        rest = rest.replace(colour, f"var({_variable(colour)})")
    spoken = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'{opening} role="img" aria-label="{spoken}">{rest.strip()}'


def colour_variables(dark: bool) -> str:
    """CSS declarations of the figures' colours for a light or a dark page.

    >>> colour_variables(dark=False).split(";")[0]
    '--c-1b1f24:#1b1f24'
    """
    return "".join(f"{_variable(light)}:{night if dark else light};" for light, night in style.DARK.items())


def swatch(name: str, names: list[str]) -> str:
    """A short piece of the line that a guide has in the figures, as an ``<svg>`` element."""
    look = style.sources(names)[name]
    dashes = "" if look.line == "-" else f' stroke-dasharray="{" ".join(f"{2 * part:g}" for part in look.line[1])}"'
    line = f'<line x1="1" y1="6" x2="33" y2="6" stroke="var({_variable(look.colour)})" stroke-width="3"{dashes}/>'
    return f'<svg class="swatch" viewBox="0 0 34 12" width="34" height="12" aria-hidden="true">{line}</svg>'


def _variable(colour: str) -> str:
    return f"--c-{colour.removeprefix('#')}"
