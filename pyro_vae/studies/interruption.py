"""Ctrl-C during a comparison: what was fitted by then is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ComparisonInterrupted(KeyboardInterrupt):
    """Ctrl-C during a comparison. ``fits`` holds the fits so far by guide, the one that was running included.

    It is a ``KeyboardInterrupt``: a program that does not ask for it ends, as Ctrl-C says.
    """

    def __init__(self, message: str, fits: Mapping[str, Any]):
        super().__init__(message)
        self.fits = dict(fits)
