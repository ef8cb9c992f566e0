"""Recorded calls on memory of their own, played many steps at a time without Python in between."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyro_vae.compiling.beside import NOTHING, Beside, Given
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


class _Copy(ctypes.Structure):
    _fields_ = (("to", ctypes.c_void_p), ("origin", ctypes.c_void_p), ("bytes", ctypes.c_int64))


class _Mean(ctypes.Structure):
    _fields_ = (
        ("mean", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("size", ctypes.c_int64),
    )


class _Beside(ctypes.Structure):
    _fields_ = (
        ("rows", ctypes.POINTER(_Row)),
        ("n_rows", ctypes.c_int64),
        ("given", ctypes.POINTER(_Copy)),
        ("n_given", ctypes.c_int64),
        ("means", ctypes.POINTER(_Mean)),
        ("n_means", ctypes.c_int64),
        ("weights", ctypes.c_void_p),
        ("kept", ctypes.POINTER(_Copy)),
        ("n_kept", ctypes.c_int64),
    )


class _Slot(ctypes.Structure):
    _fields_ = (("busy", ctypes.c_int64), ("b", ctypes.c_void_p), ("f", ctypes.c_void_p), ("t", ctypes.c_void_p))


class _Pool(ctypes.Structure):
    _fields_ = (("size", ctypes.c_int64), ("slots", ctypes.POINTER(_Slot)))


class Tape:
    """A recording on ``inputs``, tensors of the shapes and strides that it was made with, which it reads and changes.

    All that it works on must stay where it is; the tape keeps it.
    """

    def __init__(self, recording: Recording, loop: Path, inputs: Sequence[Tensor], beside: Beside = NOTHING):
        scratch = torch.empty(recording.scratch + ALIGNMENT, dtype=torch.uint8)
        buffers = [*inputs, scratch[-scratch.data_ptr() % ALIGNMENT :]]
        libraries = [ctypes.CDLL(str(path)) for path in recording.libraries]
        functions = [_address(library.kernel) for library in libraries]
        names = [f"aoti_torch_cpu_{name}_out" for name in library_names(recording)]
        functions += [_address(getattr(_torch_library(), name)) for name in names]
        calls = [call for call in recording.calls if isinstance(call, LibraryCall)]
        handles = _handles([_tensor(buffers, view) for call in calls for view in call.views])
        weakref.finalize(self, _forget, handles)
        self.loop = ctypes.CDLL(str(loop))
        self.loop.play.restype = ctypes.c_int64
        self.tables = (
            _pointers([buffer.data_ptr() for buffer in buffers]),
            _pointers(functions),
            _pointers(handles),
        )
        self._work, self._beside = beside, _beside(beside)
        self._message = ctypes.create_string_buffer(_ROOM)
        self._kept = (buffers, libraries)

    def play(self, first: int, stop: int, given: Given = ()) -> None:
        """Play the steps of rows ``first`` to ``stop``, exclusive, on what is ``given`` to each.

        Raises :class:`PlayError`; what the steps before it changed is then changed.
        """
        values = self._work.checked(given, stop - first)
        origins = _pointers([value.data_ptr() for step in values for value in step])
        between = (ctypes.c_int64(first), ctypes.c_int64(stop))
        said = (self._message, ctypes.c_int64(_ROOM))
        failed = self.loop.play(*between, *self.tables, ctypes.byref(self._beside), origins, *said)
        if failed:
            said = self._message.value.decode(errors="replace") or "no more is known"
            raise PlayError(f"compiled code failed at step {failed - 1} of a block: {said}")


class Pool:
    """Tapes of one recording, called from other threads through a C function; at most as many at once as there are.

    ``function`` is the address of ``int64 f(uint64 size, const double* x, double* gradient, double* value, void*
    user)`` and ``user`` that of its last argument; ``unchanged`` that of ``int64 g(uint64, uint64, const double* x,
    double* out, void*)``, which copies. The tapes' first three inputs are x, the value and the gradient.
    """

    def __init__(self, tapes: Sequence[Tape]):
        slots = [_Slot(0, *(ctypes.cast(table, ctypes.c_void_p) for table in tape.tables)) for tape in tapes]
        self._kept = (tapes, pool := _Pool(len(slots), (_Slot * len(slots))(*slots)))
        self.function, self.unchanged = _address(tapes[0].loop.density), _address(tapes[0].loop.unchanged)
        self.user = ctypes.addressof(pool)


def _torch_library() -> ctypes.CDLL:
    """Torch's own library: its C functions are those by which its own compiled programs call operations."""
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _pointers(addresses: Sequence[int]) -> Any:
    return (ctypes.c_void_p * max(1, len(addresses)))(*addresses)


def _beside(beside: Beside) -> _Beside:
    """What ``play`` reads of it; ctypes keeps the arrays alive."""
    rows = [_row(*pair, 0) for pair in beside.into] + [_row(*pair, 1) for pair in beside.outof]
    given = [_Copy(fixed.data_ptr(), 0, fixed.nbytes) for fixed in beside.given]
    means = [_Mean(one.data_ptr(), value.data_ptr(), one.numel(), one.element_size()) for one, value in beside.means]
    kept = [_Copy(copy.data_ptr(), value.data_ptr(), copy.nbytes) for copy, value in beside.kept]
    weights = beside.weights.data_ptr() if beside.weights is not None else 0
    return _Beside(
        (_Row * len(rows))(*rows),
        len(rows),
        (_Copy * len(given))(*given),
        len(given),
        (_Mean * len(means))(*means),
        len(means),
        weights,
        (_Copy * len(kept))(*kept),
        len(kept),
    )


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
