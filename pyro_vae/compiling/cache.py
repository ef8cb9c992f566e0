"""Compiled functions kept on disk, found again by what they do: the same operations on the same shapes.

A folder per function holds its machine code and a list of its calls. The name of the folder is a hash of the written
operations, the layout of the inputs, torch's version and the processor, so that nothing is found that was made from
anything else. Constants are inputs: the values of data are no part of it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import operator
import os
import platform
import re
import shutil
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, fx

from pyro_vae.compiling.recording import KernelCall, LibraryCall, Place, Recording, View

VARIABLE = "PYRO_VAE_CACHE"  # the environment variable that says where; empty: nothing is kept
KEPT = 200  # functions, the longest unused of which go first
_NAME = re.compile("[0-9a-f]{64}")  # of an entry; what else lies there is not ours
_FORM = 1  # of an entry; raised when recordings or what is compiled from the same operations change


def folder() -> Path | None:
    """Where compiled functions are kept; None where nothing is.

    That is ``compiled`` in ``$PYRO_VAE_CACHE``, else in ``pyro-vae`` in the user's folder for caches. A folder that
    somebody else could write into is not used: machine code is run from it.
    """
    named = os.environ.get(VARIABLE)
    if named == "":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(named or Path(home) / "pyro-vae") / "compiled"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError:
        return None
    own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return path if own and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else None


def key(graph: fx.GraphModule, inputs: Sequence[Tensor], settings: str) -> str:
    """A hash of the operations, of the layout of ``inputs``, and of everything else that the machine code depends on.

    Raises ``ValueError`` where the graph holds what has no exact text (a constant tensor, an object).
    """
    lines = [f"{_FORM} {torch.__version__} {_processor()} {settings} {torch.get_default_dtype()}"]
    lines += [f"{tuple(value.shape)} {value.stride()} {value.dtype} {value.device}" for value in inputs]
    for node in graph.graph.nodes:
        if node.op not in ("placeholder", "call_function", "output"):
            raise ValueError(f"{node.op} {node.target} has no exact text")
        lines.append(f"{node.name} {node.op} {_target(node)} {_text(node.args)} {_text(node.kwargs)}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _target(node: fx.Node) -> str:
    """What a node calls; a Python function is known by its source."""
    if isinstance(node.target, (str, torch._ops.OpOverload)) or node.target is operator.getitem:
        return str(node.target)
    try:
        return inspect.getsource(node.target)  # pyright: ignore[reportArgumentType]
    except (OSError, TypeError) as error:
        raise ValueError(f"{node.target} has no exact text") from error


def _text(value: object) -> str:
    """An exact text of an argument."""
    if isinstance(value, fx.Node):
        return f"%{value.name}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{name}:{_text(one)}' for name, one in sorted(value.items()))}}}"
    if value is None or isinstance(
        value, (bool, int, float, str, slice, torch.dtype, torch.device, torch.layout, torch.memory_format)
    ):
        return repr(value)
    raise ValueError(f"{type(value).__name__} {value!r} has no exact text")


@cache
def _processor() -> str:
    """The processor's kind and instructions: machine code is made for them."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
        return f"{platform.machine()} {features}"
    return f"{platform.machine()} {platform.processor()}"


def find(name: str) -> tuple[Recording, Path] | None:
    """The function of this key and the library that plays it; None where it is not kept, or not whole."""
    where = folder()
    if where is None:
        return None
    entry = where / name
    try:
        recording = _read(json.loads((entry / "calls.json").read_text()), entry)
        files = [entry / "loop.so", *recording.libraries]
        if not all(file.is_file() for file in files):
            return None
        os.utime(entry)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return recording, files[0]


def keep(name: str, recording: Recording, loop: Path) -> None:
    """Keep a function under its key, in the place of a damaged one. A disk that is full is no error."""
    where = folder()
    if where is None:
        return
    with suppress(OSError):
        beside = Path(tempfile.mkdtemp(dir=where, prefix=f".{name}."))
        _keep(beside, recording, loop)
        shutil.rmtree(where / name, ignore_errors=True)
        beside.rename(where / name)
        _forget_old(where)


def _keep(beside: Path, recording: Recording, loop: Path) -> None:
    try:
        for index, library in enumerate(recording.libraries):
            shutil.copyfile(library, beside / f"kernel_{index}.so")
        shutil.copyfile(loop, beside / "loop.so")
        kept = replace(recording, libraries=())
        (beside / "calls.json").write_text(json.dumps({**asdict(kept), "libraries": len(recording.libraries)}))
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _read(entry: dict, folder: Path) -> Recording:
    libraries = tuple(folder / f"kernel_{index}.so" for index in range(entry["libraries"]))
    return Recording(entry["inputs"], entry["scratch"], tuple(map(_call, entry["calls"])), libraries)


def _call(call: dict) -> KernelCall | LibraryCall:
    if "library" in call:
        return KernelCall(call["library"], tuple(Place(**place) for place in call["places"]))
    views = tuple(
        View(Place(**view["place"]), tuple(view["shape"]), tuple(view["stride"]), view["dtype"])
        for view in call["views"]
    )
    return LibraryCall(call["name"], views, tuple(call["numbers"]))


def _forget_old(where: Path) -> None:
    entries = [path for path in where.iterdir() if _NAME.fullmatch(path.name)]
    for path in sorted(entries, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)
