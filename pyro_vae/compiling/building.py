"""From a written function to one that can be called many times: found on disk, or compiled, recorded and kept."""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor, fx

from pyro_vae.compiling import cache as kept
from pyro_vae.compiling.beside import NOTHING, Beside, Steps
from pyro_vae.compiling.driver import build as build_loop
from pyro_vae.compiling.driver import source
from pyro_vae.compiling.machine import inductor
from pyro_vae.compiling.recording import Recording, UnrecordableError, record
from pyro_vae.compiling.tape import Tape

Write = Callable[[Sequence[Tensor]], fx.GraphModule]


@dataclass(frozen=True)
class Built:
    """A function that works in place on its inputs: recorded, with the library that plays it, or as Inductor left it.

    ``compiled`` is what Inductor made, where that could not be recorded: a function of a list of tensors.
    """

    recording: Recording | None = None
    loop: Path = Path()
    compiled: Callable[[list[Tensor]], Sequence] | None = None

    def on(self, inputs: Sequence[Tensor], beside: Beside = NOTHING) -> Steps:
        """A function of two numbers, ``first`` and ``stop``, that takes the steps between on these tensors."""
        if self.recording is not None:
            return Tape(self.recording, self.loop, inputs, beside).play
        assert self.compiled is not None
        return beside.around(self.compiled, inputs)


def build(write: Write, inputs: Sequence[Tensor], *, text: tuple[fx.GraphModule, str], **options: Any) -> Built:
    """Compile what ``write`` gives: the operations of a function of ``inputs`` that works in place, returning nothing.

    ``text`` says what the function does as far as ``write`` depends on anything: functions are kept on disk by it, and
    one that is found there is not written at all. ``options`` are Inductor's.
    """
    name = _key((text[0], f"{text[1]} {options}"), inputs)
    found = kept.find(name) if name else None
    if found is not None and _loads(*found):
        return Built(*found)
    examples = [_example(value) for value in inputs]
    with warnings.catch_warnings():  # torch warns of its own parts: deprecated here, experimental there
        warnings.simplefilter("ignore")
        compiled = inductor(write(examples), examples, **options)
    try:
        recording = record(compiled, examples)
    except UnrecordableError:
        return Built(compiled=compiled)
    loop = build_loop(source(recording), Path(tempfile.mkdtemp(dir=_scratch(os.getpid()))))
    if name:
        kept.keep(name, recording, loop)
    return Built(recording, loop)


def _example(value: Tensor) -> Tensor:
    """A tensor of the same layout that shares memory with no other."""
    return value.new_empty_strided(value.shape, value.stride()).copy_(value)


def _loads(recording: Recording, loop: Path) -> bool:
    """False for files that are damaged: the function is then compiled anew."""
    try:
        return all(ctypes.CDLL(str(path)) for path in (loop, *recording.libraries))
    except OSError:
        return False


def _key(text: tuple[fx.GraphModule, str], inputs: Sequence[Tensor]) -> str:
    """The function's name on disk; empty where it cannot be kept."""
    graph, words = text
    try:
        return kept.key(graph, inputs, f"{_recipe()} {words}")
    except ValueError:
        return ""


@cache
def _recipe() -> str:
    """A hash of all that turns operations into machine code, so that another version's outcome is not found."""
    package = Path(__file__).parents[1]
    modules = [
        path for name in ("compiling", "training", "potential") for path in sorted((package / name).glob("*.py"))
    ]
    settings = sorted(item for item in os.environ.items() if item[0] == "CXX" or item[0].startswith("TORCHINDUCTOR_"))
    said = [f"{name}={value}" for name, value in settings if name != "TORCHINDUCTOR_CACHE_DIR"]
    return hashlib.sha256(b"".join([path.read_bytes() for path in modules] + [" ".join(said).encode()])).hexdigest()


@cache
def _scratch(process: int) -> str:
    """A folder that is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="pyro-vae-")
    atexit.register(_remove, folder, process)
    return folder


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:  # and not a copy of it
        shutil.rmtree(folder, ignore_errors=True)
