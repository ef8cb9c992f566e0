"""Recorded calls on memory of their own, played many steps at a time without Python in between."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyro_vae.compiling.driver import library_names
from pyro_vae.compiling.recording import ALIGNMENT, LibraryCall, Recording, View

_ROOM = 400  # bytes for what an error says


class PlayError(RuntimeError):
    """Machine code failed at a step: what it says."""


class _Row(ctypes.Structure):
    _fields_ = (
        ("fixed", ctypes.c_void_p),
        ("moving", ctypes.c_void_p),
        ("bytes", ctypes.c_int64),
        ("out", ctypes.c_int64),
    )


class Tape:
    """A recording on ``inputs``, tensors of the shapes and strides that it was made with, which it reads and changes.

    ``into`` are pairs of an input and a tensor ``[steps, *shape]`` whose next row is copied into it before each step;
    ``outof`` the same for rows that are copied out after each step. All of it must stay where it is; the tape keeps it.
    """

    def __init__(
        self,
        recording: Recording,
        loop: Path,
        inputs: Sequence[Tensor],
        into: Sequence[tuple[Tensor, Tensor]] = (),
        outof: Sequence[tuple[Tensor, Tensor]] = (),
    ):
        self.scratch = torch.empty(recording.scratch + ALIGNMENT, dtype=torch.uint8)
        start = -self.scratch.data_ptr() % ALIGNMENT
        buffers = [*inputs, self.scratch[start:]]
        rows = [(fixed, moving, 0) for fixed, moving in into] + [(fixed, moving, 1) for fixed, moving in outof]
        self._kept: list[Any] = [buffers, rows, libraries := [ctypes.CDLL(str(path)) for path in recording.libraries]]
        self._play = ctypes.CDLL(str(loop)).play
        self._play.restype = ctypes.c_int64
        functions = [_address(library.kernel) for library in libraries]
        functions += [
            _address(getattr(_torch_library(), f"aoti_torch_cpu_{name}_out")) for name in library_names(recording)
        ]
        calls = [call for call in recording.calls if isinstance(call, LibraryCall)]
        handles = _handles([_tensor(buffers, view) for call in calls for view in call.views])
        self._message = ctypes.create_string_buffer(_ROOM)
        self._arguments = (
            _pointers([buffer.data_ptr() for buffer in buffers]),
            _pointers(functions),
            _pointers(handles),
            (_Row * len(rows))(*(_row(*row) for row in rows)),
            ctypes.c_int64(len(rows)),
            self._message,
            ctypes.c_int64(_ROOM),
        )
        weakref.finalize(self, _forget, handles)

    def play(self, steps: int = 1) -> None:
        """Play ``steps`` steps. Raises :class:`PlayError`; what the steps before it changed is then changed."""
        failed = self._play(ctypes.c_int64(steps), *self._arguments)
        if failed:
            said = self._message.value.decode(errors="replace") or "no more is known"
            raise PlayError(f"compiled code failed at step {failed - 1} of a block: {said}")


def _torch_library() -> ctypes.CDLL:
    """Torch's own library: its C functions are those by which its own compiled programs call operations."""
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _pointers(addresses: Sequence[int]) -> Any:
    return (ctypes.c_void_p * max(1, len(addresses)))(*addresses)


def _row(fixed: Tensor, moving: Tensor, out: int) -> _Row:
    if not (fixed.is_contiguous() and moving.is_contiguous() and moving.shape[1:] == fixed.shape):
        raise ValueError(f"rows of shape {tuple(fixed.shape)} cannot be copied from {tuple(moving.shape)}")
    return _Row(fixed.data_ptr(), moving.data_ptr(), fixed.numel() * fixed.element_size(), out)


def _tensor(buffers: Sequence[Tensor], view: View) -> Tensor:
    """A tensor on the memory that a view names."""
    buffer, dtype = buffers[view.place.buffer], getattr(torch, view.dtype)
    whole = torch.empty(0, dtype=dtype).set_(buffer.untyped_storage())
    offset = buffer.storage_offset() * buffer.element_size() + view.place.offset
    return torch.as_strided(whole, view.shape, view.stride, offset // whole.element_size())


def _handles(tensors: Sequence[Tensor]) -> list[int]:
    """The addresses of new tensor objects of torch's own, on the same memory; :func:`_forget` frees them."""
    if not tensors:
        return []
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    capsules = torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(list(tensors))  # pyright: ignore
    return [get_pointer(capsule, None) or 0 for capsule in capsules]


def _forget(handles: Sequence[int]) -> None:
    for handle in handles:
        _torch_library().aoti_torch_delete_tensor_object(ctypes.c_void_p(handle))
