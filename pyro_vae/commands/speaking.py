"""What a command says: results on standard output at 80 columns, a line per phase on standard error."""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

WIDTH = 80


def say(text: str, indent: str = "") -> None:
    """Print, folded at 80 columns; words are not cut, so that a path can be copied."""
    for line in text.splitlines():
        folded = textwrap.fill(
            line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
        )
        print(folded)  # noqa: T201


@contextmanager
def saying(quiet: bool) -> Iterator[None]:
    """Show the library's log, a line per phase, while the block runs."""
    if quiet:
        yield
        return
    log = logging.getLogger("pyro_vae")
    handler = logging.StreamHandler(sys.stderr)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
