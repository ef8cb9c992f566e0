"""From a written function to one that can be called many times: found on disk, or compiled, recorded and kept."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from torch import Tensor, fx

from pyro_vae.compiling import cache as kept
from pyro_vae.compiling.driver import build as build_loop
from pyro_vae.compiling.driver import source
from pyro_vae.compiling.machine import inductor
from pyro_vae.compiling.recording import UnrecordableError, record
from pyro_vae.compiling.tape import Tape

Rows = Sequence[tuple[Tensor, Tensor]]
Steps = Callable[[int], None]


def build(
    write: Callable[[Sequence[Tensor]], fx.GraphModule],
    inputs: Sequence[Tensor],
    *,
    into: Rows = (),
    outof: Rows = (),
    text: tuple[fx.GraphModule, str] | None = None,
    vectors_from: int,
) -> Steps:
    """A function of a number of steps that takes them on ``inputs``, in place.

    ``write`` gives the operations of one step on examples of the inputs; what it writes returns nothing. Before each
    step the next rows of ``into`` are copied into their inputs, after it those of ``outof`` out of theirs (see
    :class:`~pyro_vae.compiling.tape.Tape`). ``text`` says what the step does as far as ``write`` depends on anything:
    functions are kept on disk by it, and one that is found there is not written at all.
    """
    name = _key(text, inputs, vectors_from)
    found = kept.find(name) if name else None
    if found is not None:
        try:
            return Tape(*found, inputs, into, outof).play
        except (OSError, AttributeError):  # an entry that is damaged is made anew
            pass
    examples = [_example(value) for value in inputs]
    with warnings.catch_warnings():  # torch warns of its own parts: deprecated here, experimental there
        warnings.simplefilter("ignore")
        compiled = inductor(write(examples), examples, long=vectors_from)
    try:
        recording = record(compiled, examples)
    except UnrecordableError:
        return _one_by_one(compiled, inputs, into, outof)
    loop = build_loop(source(recording), Path(tempfile.mkdtemp(dir=_folder())))
    if name:
        kept.keep(name, recording, loop)
    return Tape(recording, loop, inputs, into, outof).play


def _example(value: Tensor) -> Tensor:
    """A tensor of the same layout that shares memory with no other."""
    return value.new_empty_strided(value.shape, value.stride()).copy_(value)


def _one_by_one(compiled: Callable, inputs: Sequence[Tensor], into: Rows, outof: Rows) -> Steps:
    """The steps by calls from Python, where they cannot be recorded."""

    def steps(count: int) -> None:
        for step in range(count):
            for fixed, rows in into:
                fixed.copy_(rows[step])
            compiled(list(inputs))
            for fixed, rows in outof:
                rows[step] = fixed

    return steps


def _key(text: tuple[fx.GraphModule, str] | None, inputs: Sequence[Tensor], vectors_from: int) -> str:
    """The function's name on disk; empty where it cannot be kept."""
    if text is None:
        return ""
    graph, words = text
    try:
        return kept.key(graph, inputs, f"{_recipe()} {words} {vectors_from}")
    except ValueError:
        return ""


@cache
def _recipe() -> str:
    """A hash of the modules that turn operations into machine code: their outcome is not found by another version."""
    parts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@cache
def _scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="pyro-vae-")


def _folder() -> str:
    """A folder that is removed when the process ends."""
    return _scratch().name
