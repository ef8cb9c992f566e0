"""What a command says while it works: a line per phase on standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
