"""A tree of tensors and plain values as one safetensors file: no pickle, written beside and then renamed.

The tensors are the file's tensors; everything else is JSON in the file's metadata, with a reference where a tensor was.
A SHA-256 of both stands beside them: a file that is cut short, or of which a byte has changed, is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyro_vae.errors import OutputError

_KEY = "pyro_vae"
_SUM = "sha256"


def write_tree(path: str | Path, tree: dict[str, Any]) -> Path:
    """Write a tree of dicts, lists, tuples, numbers, strings, None and tensors; returns the path.

    The file at ``path`` is either the old one or the complete new one, never a part. Raises
    :class:`~pyro_vae.errors.OutputError` naming the path, or the entry that cannot be written.

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_tree(f"{folder}/a.safetensors", {"x": torch.ones(2), "rest": (1, None)})
    ...     read_tree(path)
    {'x': tensor([1., 1.]), 'rest': (1, None)}
    """
    from safetensors.torch import save

    path = Path(path)
    tensors: dict[str, Tensor] = {}
    content = json.dumps(_encode(tree, "", tensors))
    blob = save(tensors, metadata={_KEY: content, _SUM: _checksum(content, tensors)})
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}). Choose a folder that exists and is yours."
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        Path(beside).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"{path}: cannot be written ({error.strerror}).") from error
        raise
    return path


def read_tree(path: str | Path) -> dict[str, Any]:
    """Read what :func:`write_tree` wrote, which runs no code of the file's.

    Raises :class:`~pyro_vae.errors.OutputError` naming the path, when it is not there, cut short or changed. (The
    checksum finds damage and careless edits; it is no signature of who wrote the file.)
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise OutputError(f"{path}: there is no such file. Expected one written by Fit.save or fit(checkpoint=...).")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise OutputError(f"{path}: not a readable safetensors file, or one that is cut short ({error}).") from error
    content = metadata.get(_KEY)
    if content is None:
        raise OutputError(f"{path}: a safetensors file, but not one written by pyro-vae.")
    if metadata.get(_SUM) != _checksum(content, tensors):
        raise OutputError(
            f"{path}: damaged, or changed since it was written (it does not match its SHA-256). Use another copy."
        )
    return _decode(json.loads(content), tensors)


def _checksum(content: str, tensors: dict[str, Tensor]) -> str:
    found = hashlib.sha256(content.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _encode(node: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, Tensor):
        name = place.lstrip("/") or "tensor"
        name = name if name not in tensors else f"{name}#{len(tensors)}"
        tensors[name] = node.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(node, dict):
        items = [
            [_encode(key, place, tensors), _encode(value, f"{place}/{key}", tensors)] for key, value in node.items()
        ]
        return {"dict": items}
    if isinstance(node, (list, tuple)):
        items = [_encode(value, f"{place}/{index}", tensors) for index, value in enumerate(node)]
        return {"tuple": items} if isinstance(node, tuple) else items
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    raise OutputError(
        f"Cannot save the entry '{place.lstrip('/')}': {type(node).__name__} is neither a number, text nor tensor."
    )


def _decode(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, list):
        return [_decode(value, tensors) for value in node]
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_decode(value, tensors) for value in content)
    return {_decode(key, tensors): _decode(value, tensors) for key, value in content}


def to_device(node: Any, device: torch.device | str | None) -> Any:
    """Move every tensor in a tree of dicts, lists and tuples. None leaves the tree as it is."""
    if device is None:
        return node
    if isinstance(node, Tensor):
        return node.to(device)
    if isinstance(node, dict):
        return {key: to_device(value, device) for key, value in node.items()}
    if isinstance(node, (list, tuple)) and not hasattr(node, "_fields"):
        return type(node)(to_device(value, device) for value in node)
    return node
