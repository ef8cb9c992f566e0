"""One posterior of posteriordb: its data, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Posterior:
    """One posterior of posteriordb.

    ``name`` is ``DATA-MODEL``; ``model_name`` that of the model, and of the program that is written for it; ``data``
    are as in the JSON file. ``draws()`` reads the reference draws, ``{variable: [chain, draw, *shape]}``; it is None
    where there are none. ``summary`` has ``mean``, ``mcse_mean`` and ``sd``, as far as they are known, each
    ``{variable: array}``. ``source`` says where the files lie.
    """

    name: str
    model_name: str
    data: Mapping[str, Any]
    draws: Callable[[], Arrays] | None = None
    summary: Mapping[str, Arrays] = field(default_factory=dict)
    source: str = ""
