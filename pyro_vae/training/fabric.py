"""Lightning's Fabric as ``fit`` uses it: devices, precision and processes, checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from pyro_vae.errors import OptionError
from pyro_vae.training.team import FabricTeam, Team

_STRATEGIES = ("SingleDeviceStrategy", "DDPStrategy")
_PRECISIONS = ("32-true", "bf16-mixed")


class Devices:
    """What a fit runs on: ``team`` of processes, ``device``, and ``autocast`` where nets run in bfloat16."""

    def __init__(
        self, device: Any = None, team: Team | None = None, autocast: Callable | None = None, loggers: Any = ()
    ):
        self.device = device
        self.team = Team() if team is None else team
        self.autocast: Callable[[], AbstractContextManager] | None = autocast
        self.loggers = list(loggers)

    @property
    def plain(self) -> bool:
        """Whether this is one process in full precision."""
        return self.team.size == 1 and self.autocast is None


def devices_from(fabric: Any, device: Any) -> Devices:
    """What a person gave as ``fabric``: a ``Fabric``, a dict of its options, or None; it is launched here.

    Raises :class:`~pyro_vae.errors.OptionError` for a strategy that splits a model among devices, for precisions
    other than 32-true and bf16-mixed, and where Lightning cannot use the options.
    """
    if fabric is None:
        return Devices(device)
    made = _made(fabric)
    if device is not None:
        raise OptionError(
            f"device={device!r}: fabric= chooses the device (accelerator=..., devices=...); give one of them."
        )
    strategy, precision = type(made.strategy).__name__, made.strategy.precision.precision
    if strategy not in _STRATEGIES:
        raise OptionError(
            f"fabric: expected a strategy that copies the model to every process ('ddp' or 'auto'), got {strategy}."
        )
    if precision not in _PRECISIONS:
        raise OptionError(
            f"fabric: expected precision '32-true' or 'bf16-mixed', got '{precision}'. For float64 convert the modules "
            "and the data, with .double()."
        )
    if not getattr(made, "_launched", False):
        _launch(made)
    team = FabricTeam(made) if made.world_size > 1 else Team()
    place = None if made.device.type == "cpu" else made.device
    return Devices(place, team, made.autocast if precision == "bf16-mixed" else None, made.loggers)


def _made(fabric: Any) -> Any:
    if hasattr(fabric, "launch") and hasattr(fabric, "strategy"):
        return fabric
    if not isinstance(fabric, Mapping):
        raise OptionError(
            f"fabric: expected a lightning.fabric.Fabric or a dict of its options, got {type(fabric).__name__}. "
            "For example fabric={'devices': 2, 'precision': 'bf16-mixed'}."
        )
    try:
        return _fabric_class()(**fabric)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(f"fabric={dict(fabric)!r}: Lightning cannot use these options: {error}") from error
    except Exception as error:  # Lightning's own kind for a setting that cannot be
        if type(error).__name__ != "MisconfigurationException":
            raise
        raise OptionError(f"fabric={dict(fabric)!r}: Lightning cannot use these options: {error}") from error


def _fabric_class() -> Any:
    """Fabric comes in two packages of the same code; either will do."""
    try:
        from lightning.fabric import Fabric
    except ModuleNotFoundError:
        try:
            from lightning_fabric import Fabric  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            raise OptionError("fabric: Lightning's Fabric is not installed: pip install lightning-fabric.") from error
    return Fabric


def _launch(fabric: Any) -> None:
    try:
        fabric.launch()
    except TypeError as error:  # strategies that fork or spawn want the whole program as a function
        raise OptionError(
            "fabric: this strategy starts its processes from a function. Start the script with torchrun, or call "
            "fabric.launch(train) yourself and fit inside train, with fabric=fabric."
        ) from error
