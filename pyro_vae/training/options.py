"""The options of a fit, checked once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyro_vae.errors import OptionError, OutputError
from pyro_vae.training.checkpoints import is_there
from pyro_vae.training.loop import SEARCH_SHARE, RunPlan
from pyro_vae.training.optimizers import StepOptimizer, optimizer_from
from pyro_vae.training.schedules import SCHEDULES, Schedule, schedule_from
from pyro_vae.training.stopping import StopRule, rule_from
from pyro_vae.training.validation import EVERY, Validation

STEPS = 4000
WORTH_COMPILING = 2000  # steps, which take eagerly about as long as compiling does
VARIABLE = "PYRO_VAE_COMPILE"  # the environment variable that is 0 where only those fits are compiled that ask for it


@dataclass(frozen=True)
class FitOptions:
    """What a person asked of a fit, in the forms that the loop uses.

    ``said`` are the words, to compare with a saved run's.
    """

    steps: int | None
    epochs: int | None
    make_optimizer: Callable[[], StepOptimizer]
    schedule: Schedule
    rule: StopRule | None
    clip: float | None
    average: bool
    restarts: int
    seed: int | None
    progress: bool | None
    checkpoint: Path | None
    checkpoint_every: int
    resume: Path | None
    compile: bool | None
    accumulate: int
    validation: Validation | None
    log: Path | None
    said: dict[str, Any]

    @classmethod
    def checked(
        cls,
        *,
        optimizer: Any,
        learning_rate: float | None,
        schedule: Any,
        stop: Any,
        compile: bool | None,
        checkpoint: Any,
        resume: Any,
        validation: Any,
        log: Any,
        **rest: Any,
    ) -> FitOptions:
        """Check every option; raises :class:`~pyro_vae.errors.OptionError` naming the one at fault."""
        for name in ("steps", "epochs", "restarts", "checkpoint_every", "accumulate"):
            _positive(name, rest[name], none=name in ("steps", "epochs"))
        if rest["steps"] is not None and rest["epochs"] is not None:
            raise OptionError(f"steps={rest['steps']} and epochs={rest['epochs']}: give one of them.")
        if rest["clip"] is not None and not rest["clip"] > 0:
            raise OptionError(f"clip: expected a positive gradient norm or None, got {rest['clip']!r}.")
        if rest["seed"] is not None and (
            isinstance(rest["seed"], bool) or not isinstance(rest["seed"], int) or rest["seed"] < 0
        ):
            raise OptionError(f"seed: expected a whole number from 0 or None, got {rest['seed']!r}.")
        make = optimizer_from(optimizer, learning_rate)
        chosen = schedule_from(schedule)
        if make().own_schedule:
            if chosen is not SCHEDULES["settle"]:
                raise OptionError(
                    "schedule: an optimiser of pyro.optim brings its own; leave schedule out, or use torch.optim."
                )
            chosen = SCHEDULES["constant"]
        said = {name: rest[name] for name in ("steps", "epochs", "clip", "average", "restarts", "seed", "accumulate")}
        said |= {
            "optimizer": _word(optimizer),
            "learning_rate": learning_rate,
            "schedule": chosen.name,
            "stop": _word(stop),
        }
        watched = Validation.of(validation)
        said["terms"] = watched is not None and watched.terms
        return cls(
            make_optimizer=make,
            schedule=chosen,
            rule=rule_from(stop),
            checkpoint=_writable(checkpoint),
            resume=_resumed(resume, checkpoint),
            compile=compile,
            validation=watched,
            log=None if log is None else Path(log),
            said=said,
            **rest,
        )

    def compiled(self, steps: int) -> bool:
        """Whether a run of at most ``steps`` steps is compiled; without a word, from ``WORTH_COMPILING`` on."""
        if self.compile is None:
            return steps >= WORTH_COMPILING and os.environ.get(VARIABLE) != "0"
        return self.compile

    def plan(
        self, per_epoch: int | None, *, processes: int = 1, upper_bound: bool = False, annealed: int = 0
    ) -> RunPlan:
        """The plan of one run, once the number of batches per epoch is known."""
        at_once = self.accumulate * processes
        if self.epochs is not None and per_epoch is None:
            raise OptionError(
                f"epochs={self.epochs}: only a DataLoader has epochs, one of an iterable dataset only where that has "
                "__len__. Give steps instead."
            )
        steps = STEPS if self.steps is None else self.steps
        if self.epochs is not None and per_epoch is not None:
            steps = -(-self.epochs * per_epoch // at_once)
        if annealed > SEARCH_SHARE * steps:
            warnings.warn(
                f"annealing: beta changes for {annealed} more steps, but the fit settles after at most "
                f"{int(SEARCH_SHARE * steps)} of its {steps}: take more steps, or anneal over fewer.",
                stacklevel=4,
            )
        every = self.checkpoint_every if self.checkpoint is not None else None
        check = None
        if self.validation is not None:
            check = self.validation.every or (EVERY if per_epoch is None else -(-per_epoch // at_once))
        return RunPlan(steps, self.schedule, self.rule, self.average, every, upper_bound, annealed, check)


def _positive(name: str, value: Any, *, none: bool) -> None:
    if value is None and none:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"{name}: expected a positive whole number{' or None' if none else ''}, got {value!r}.")


def _word(value: Any) -> str | None:
    """An option as text that is the same in the next process: no addresses."""
    if value is None or isinstance(value, str):
        return value
    label = getattr(value, "__name__", None)
    if label is None:
        label = repr(value) if " at 0x" not in repr(value) else type(value).__name__
    return str(label)


def _resumed(resume: Any, checkpoint: Any) -> Path | None:
    """Where to go on from; True is the run's own checkpoint, where there is one."""
    if resume is None or resume is False:
        return None
    if resume is not True:
        return Path(resume)
    if checkpoint is None:
        raise OptionError(
            "resume=True goes on from the fit's own checkpoint: give its path, checkpoint='run.safetensors'."
        )
    return Path(checkpoint) if is_there(Path(checkpoint)) else None


def _writable(path: Any) -> Path | None:
    if path is None:
        return None
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"checkpoint={str(path)!r}: the folder {path.parent} does not exist. Make it first.")
    return path
