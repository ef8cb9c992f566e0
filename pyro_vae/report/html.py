"""The report as one HTML file that needs nothing else: styles and figures are inside, and it asks for nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_vae.files import written_beside
from pyro_vae.report import tables
from pyro_vae.report.content import ReportContent
from pyro_vae.report.estimators import estimator_rows
from pyro_vae.report.figures import CAPTIONS, Caption
from pyro_vae.report.summary import health_facts, rows
from pyro_vae.report.svg import colour_variables, inline_svg, swatch

if TYPE_CHECKING:
    from jinja2 import Template

LEVELS = {
    "trusted": ("✓", "trusted"),
    "reweight": ("◑", "reweight"),
    "untrusted": ("✕", "untrusted"),
    "none": ("?", "no verdict"),
    "diverged": ("✕", "diverged"),
}
"""The sign and the words of each level: a badge never speaks by its colour alone."""
SIGNS = {"high": "▲", "wide": "▲", "low": "▼", "narrow": "▼", "uncertain": "?"}
"""What stands before a number that breaks the rule."""


def write_html(content: ReportContent, path: str | Path) -> Path:
    """Write the report to ``path``; returns the path.

    The file is written beside it and then renamed: a report that is there is whole. Folders are made.

    Raises: ``OutputError`` naming the path.
    """
    return write_page(render(content), path)


def write_page(text: str, path: str | Path) -> Path:
    """Write a page beside ``path`` and rename it. Raises: ``OutputError`` naming the path."""
    path = Path(path)
    with written_beside(path, "the report") as part:
        part.write_text(text, encoding="utf-8")
    return path


def render(content: ReportContent) -> str:
    """The report as a string of HTML."""
    from markupsafe import Markup

    looks = content.names
    titles = {caption.name: caption.title for caption in CAPTIONS}
    return page(
        "template.html.j2",
        content,
        question="can the variational posterior be trusted?",
        beside="The draws behind this page are the netCDF files beside it, if they were saved.",
        signs=SIGNS,
        rows=rows(content),
        facts=health_facts(content),
        attempts=_attempts(content),
        swatches={name: Markup(swatch(name, looks)) for name in looks},
        estimators=estimator_rows(content) if content.several else [],
        figures=inlined(CAPTIONS, content, baseline=content.baseline_name),
        not_drawn=[(titles[name], why) for name, why in content.drawn.not_drawn.items()],
        columns=tables.COLUMNS,
        tables={name: tables.parameter_rows(judgement) for name, judgement in content.judgements.items()},
    )


def page(template: str, content: Any, *, levels: Mapping[str, tuple[str, str]] = LEVELS, **values: Any) -> str:
    """A page of a report: ``template``, which extends ``page.html.j2``, filled with the content and ``values``."""
    from markupsafe import Markup

    story, _, details = content.story.strip().partition("\n\n")
    return _template(template).render(
        content=content,
        story=story,
        details=details,
        levels=levels,
        light=Markup(colour_variables(dark=False)),
        dark=Markup(colour_variables(dark=True)),
        **values,
    )


def _template(name: str) -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.filters["zip_with"] = lambda first, *others: list(zip(first, *others, strict=True))
    return environment.get_template(name)


def inlined(captions: Iterable[Caption], content: Any, **words: str) -> list[dict[str, Any]]:
    """Every figure that was drawn with its words, for a page and for a phone."""
    from markupsafe import Markup

    wide, narrow = content.drawn.figures, content.drawn_narrow.figures
    return [
        {
            "name": caption.name,
            "title": caption.title,
            "reading": caption.reading.format(**words),
            "wide": Markup(inline_svg(wide[caption.name], caption.name, caption.title)),
            "narrow": Markup(inline_svg(narrow[caption.name], f"{caption.name}-narrow", caption.title)),
        }
        for caption in captions
        if caption.name in wide
    ]


def _breakable(name: str) -> Any:
    """A name that a narrow column may break after its underscores."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=_)", name))


def _attempts(content: ReportContent) -> list[dict[str, Any]]:
    """The runs of NUTS that were tried, as ``nuts`` records them."""
    recorded = content.baseline.attrs.get("attempts") or "[]"
    try:
        attempts = json.loads(recorded) if isinstance(recorded, str) else list(recorded)
    except (ValueError, TypeError):  # a file from elsewhere may use the same name for something else
        return []
    keys = ("parametrisation", "target_accept", "divergences", "max_rhat", "min_ess", "counts")
    return [{key: attempt.get(key) for key in keys} for attempt in attempts if isinstance(attempt, dict)]
