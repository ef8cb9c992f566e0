"""The options of a comparison that are handed on: to ``fit``, to the baseline, to the draws."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyro_vae.errors import OptionError


@dataclass(frozen=True)
class Options:
    """``fit`` holds what was said about fitting (and nothing that was not), ``nuts`` all that the sampler is told."""

    seed: int
    refit: bool = True
    guide_draws: int = 10_000
    progress: bool | None = None
    stop: Any = "auto"
    fit: Mapping[str, Any] = field(default_factory=dict)
    nuts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def baseline_draws(self) -> int:
        """Draws of the baseline, all chains together."""
        return self.nuts["chains"] * self.nuts["draws"]

    def said(self) -> dict[str, str]:
        """The options in words, for the report. What NUTS was told is with its draws, wherever these come from."""
        words = {"seed": self.seed, **self.fit, "guide_draws": self.guide_draws}
        return {key.replace("_", " "): str(value) for key, value in words.items()}


def options_of(
    *,
    seed: int | None,
    refit: bool,
    guide_draws: int,
    progress: bool | None,
    stop: Any,
    fit: Mapping[str, Any],
    nuts: Mapping[str, Any],
) -> Options:
    """Check what can be checked before the work. Raises :class:`~pyro_vae.errors.OptionError` naming the option."""
    for name, value in {
        "guide_draws": guide_draws,
        **{key: nuts[key] for key in ("chains", "draws", "warmup")},
    }.items():
        checked_count(name, value)
    said = {key: value for key, value in fit.items() if value is not None}
    if not refit and said:
        key, value = next(iter(said.items()))
        raise OptionError(f"{key}={value!r} with refit=False: nothing is fitted then. Leave out one of the two.")
    return Options(
        seed=checked_seed(seed),
        refit=refit,
        guide_draws=guide_draws,
        progress=progress,
        stop=stop,
        fit=said,
        nuts=dict(nuts),
    )


def checked_count(name: str, value: Any) -> int:
    """The option ``name``, which has to be a whole number above 0: :class:`~pyro_vae.errors.OptionError` if not."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"{name}: expected a whole number above 0, got {value!r}.")
    return value


def checked_seed(seed: Any) -> int:
    """The seed; one that nobody chose is drawn, and recorded so that the study can be made again."""
    if seed is None:
        return secrets.randbelow(2**31)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise OptionError(f"seed: expected a whole number from 0 or None, got {seed!r}.")
    return seed
