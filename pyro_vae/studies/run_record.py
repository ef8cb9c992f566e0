"""``run.json``: what a run was asked for. Plain JSON, which runs no code of its own when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from pyro_vae.errors import OptionError, OutputError
from pyro_vae.files import written_beside

FILE = "run.json"
FORMAT = 1
EPOCHS = 50


@dataclass(frozen=True)
class TrainingOptions:
    """How a VAE is trained, by the names that ``fit`` has for it. ``validation`` is a share of the rows."""

    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 128
    learning_rate: float = 1e-3
    schedule: str = "constant"
    estimator: str | None = None
    particles: int = 1
    beta: float = 1.0
    annealing: int | None = None
    free_bits: float | None = None
    validation: float | None = None
    patience: int | None = None
    restarts: int = 1
    seed: int = 0

    @classmethod
    def of(cls, proposed: Mapping[str, Any], said: Mapping[str, Any]) -> TrainingOptions:
        """What a program proposes, and before it what a person said (None is nothing said).

        Raises :class:`~pyro_vae.errors.OptionError` naming the option.
        """
        given = {name: value for name, value in said.items() if value is not None}
        if "steps" in given or "epochs" in given:  # one of them is enough, and a person's comes first
            proposed = {name: value for name, value in proposed.items() if name not in ("steps", "epochs")}
        known = {each.name for each in fields(cls)}
        unknown = [name for name in (*proposed, *given) if name not in known]
        if unknown:
            raise OptionError(f"{unknown[0]}: no option of training. There are: {', '.join(sorted(known))}.")
        options = cls(**{**proposed, **given})
        if options.steps is None and options.epochs is None:
            options = replace(options, epochs=EPOCHS)
        if options.steps is not None and options.epochs is not None:
            raise OptionError(f"epochs={options.epochs} and steps={options.steps}: give one of them.")
        if options.validation is not None and not 0 < options.validation < 1:
            raise OptionError(f"validation: expected a share of the rows between 0 and 1, got {options.validation}.")
        if options.batch_size < 1:
            raise OptionError(f"batch_size: expected a positive whole number, got {options.batch_size}.")
        return options


@dataclass(frozen=True)
class RunRecord:
    """A run as it is written down: ``program`` is a name or a path, ``data`` how a person's own rows were read.

    ``rows`` says what the rows were (their number, kind, hash, words), so that a run never goes on with others.
    """

    program: str
    sizes: Mapping[str, Any]
    data: Mapping[str, Any] | None
    rows: Mapping[str, Any]
    options: TrainingOptions
    versions: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``run.json``; the one that was there is whole until this one is."""
        content = {"format": FORMAT, **asdict(self)}
        with written_beside(folder / FILE, "what the run was asked for") as part:
            part.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """What is in ``run.json``; raises :class:`~pyro_vae.errors.OutputError` naming the file."""
        path = folder / FILE
        if not path.is_file():
            raise OutputError(
                f"{folder} is no run: it has no {FILE}. A run is what pyro-vae fit makes of a VAE program, in the "
                "folder that --out says."
            )
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise OutputError(f"{path}: was written by another version of pyro-vae, which can read it.")
            sizes = {name: _from_json(value) for name, value in content.pop("sizes").items()}
            return cls(sizes=sizes, options=TrainingOptions(**content.pop("options")), **content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(f"{path}: is damaged or was changed ({error!r}).") from error


def _from_json(value: Any) -> Any:
    """JSON has no tuples, and sizes no lists."""
    return tuple(_from_json(each) for each in value) if isinstance(value, list) else value


def fingerprint(data: Mapping[str, Any]) -> str:
    """The SHA-256 of all tensors, by name.

    >>> import torch
    >>> fingerprint({"x": torch.zeros(2)})[:8]
    '9940fbba'
    """
    found = hashlib.sha256()
    for name, value in sorted(data.items()):
        found.update(name.encode())
        if isinstance(value, Tensor):
            found.update(f"{value.dtype} {tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
