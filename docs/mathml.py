"""Formulas as MathML, written into the pages when they are built: they need no script and no network to be read."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def _mathml(formula: str, *, block: bool) -> str:
    formula = re.sub(r"frac(\d)(\d)", r"frac{\1}{\2}", formula)  # as TeX reads it: one digit is one argument
    formula = re.sub(r"\\big(?=[^a-z])", r"\\bigl", formula)
    try:
        written = tex2mathml(formula, as_block=block)
    except MathError as error:
        raise ExtensionError(f"The formula {formula!r} cannot be written as MathML: {error}") from error
    # The space that TeX leaves between the name of a function and an argument without parentheses.
    return re.sub(r"<mo>&ApplyFunction;</mo>(?=\s*<m[^o])", '<mspace width="0.17em"/>', written)


def inline(translator: Any, node: nodes.math) -> None:
    """A formula in a line of text."""
    translator.body.append(f'<span class="math">{_mathml(node.astext(), block=False)}</span>')
    raise nodes.SkipNode


def displayed(translator: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own; ``\\\\`` and ``&`` make an aligned one, as in LaTeX."""
    formula = node.astext()
    if ("\\\\" in formula or "&" in formula) and "\\begin" not in formula:
        formula = f"\\begin{{aligned}}{formula}\\end{{aligned}}"
    translator.body.append(f'<div class="math">{_mathml(formula, block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
