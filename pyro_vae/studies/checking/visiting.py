"""One run of a program under watch: every statement with its line, what it changed, and where it failed."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyro_vae.particles.handlers import PARTICLES, is_function, is_subsample
from pyro_vae.studies.checking.source import Where, calling_statement, failing_statement
from pyro_vae.studies.checking.untouched import put_back, same


@dataclass
class Statement:
    """A ``pyro.sample``, ``pyro.param`` or plate of a program, as Pyro's message, and where it stands."""

    message: dict[str, Any]
    where: Where | None

    @property
    def name(self) -> str:
        """The site's name."""
        return self.message["name"]

    @property
    def fn(self) -> Any:
        """The distribution."""
        return self.message["fn"]

    @property
    def frames(self) -> dict[str, Any]:
        """The plates around it, as Pyro's frames by name."""
        return {frame.name: frame for frame in self.message["cond_indep_stack"] if frame.name != PARTICLES}


@dataclass
class Visit:
    """What a run of ``role`` ("model" or "guide") left.

    ``failing`` is the site at which it failed with ``error``; ``changed`` are the arguments that it wrote into.
    """

    role: str
    statements: list[Statement] = field(default_factory=list)
    error: Exception | None = None
    failed_at: Where | None = None
    failing: dict[str, Any] | None = None
    changed: tuple[str, ...] = ()
    boundary: FrameType | None = None

    @property
    def samples(self) -> list[Statement]:
        """Sample statements in order, plates' own aside."""
        return [one for one in self.statements if one.message["type"] == "sample" and not is_subsample(one.message)]

    @property
    def sites(self) -> dict[str, Statement]:
        """Sample statements by name that got a value and record no function of other sites."""
        return {
            one.name: one for one in self.samples if one.message["value"] is not None and not is_function(one.message)
        }

    @property
    def params(self) -> dict[str, Statement]:
        """Parameters by name."""
        return {one.name: one for one in self.statements if one.message["type"] == "param"}

    @property
    def plates(self) -> list[Statement]:
        """The statements by which plates take their rows."""
        return [one for one in self.statements if one.message["type"] == "sample" and is_subsample(one.message)]

    def where(self, name: str) -> Where | None:
        """Where the statement of this name stands."""
        return next((one.where for one in self.statements if one.name == name), None)


class _Recorder(Messenger):
    """Keeps every message of a visit as it is made; Pyro fills in the rest."""

    def __init__(self, visit: Visit) -> None:
        super().__init__()
        self.visit = visit

    def _pyro_sample(self, msg: dict) -> None:
        self.visit.statements.append(Statement(msg, calling_statement(self.visit.boundary)))

    _pyro_param = _pyro_sample


def watched(program: Callable, visit: Visit, data: dict[str, Tensor | np.ndarray]) -> Callable:
    """The program, which fills ``visit`` when it is called. What it writes into ``data`` is noted and undone."""

    @functools.wraps(program, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        visit.boundary = sys._getframe()
        before = {
            label: value.copy() if isinstance(value, np.ndarray) else value.detach().clone()
            for label, value in data.items()
        }
        try:
            with _Recorder(visit):
                return program(*args, **kwargs)
        except Exception as error:
            visit.error, visit.failed_at = error, failing_statement(error.__traceback__)
            visit.failing = _message(error)
            raise
        finally:
            visit.boundary = None
            visit.changed = tuple(label for label, value in data.items() if not same(value, before[label]))
            for label in visit.changed:
                put_back(data[label], before[label])

    return run


def _message(error: Exception) -> dict[str, Any] | None:
    """The message that Pyro was working on when it failed."""
    found, trace = None, error.__traceback__
    while trace is not None:
        local = trace.tb_frame.f_locals.get("msg")
        if isinstance(local, dict) and "cond_indep_stack" in local:
            found = local
        trace = trace.tb_next
    return found
