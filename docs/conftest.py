"""The Python in these pages is run: every ``python`` block, and every ``>>>`` line in one, is a test."""

from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from typing import Any

import pyro
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser


def fresh(namespace: dict[str, Any]) -> None:
    """Every page starts from an empty param store and the same seed, whatever pages ran before it."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
    pattern="*.md",
    setup=fresh,
).pytest()
