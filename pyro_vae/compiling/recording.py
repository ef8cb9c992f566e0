"""What compiled code does, written down: which machine code it calls on which memory, without the Python between.

Inductor's output is a Python function that makes buffers and calls one piece of machine code after another. For fixed
inputs it does the same at every call. It is run once here, and its calls are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ALIGNMENT = 64  # bytes: a cache line, and more than any vector instruction asks for
# torch's functions that Inductor leaves matrix products to, and how many numbers follow their tensors.
LIBRARY = {"mm": 0, "addmm": 2, "bmm": 0, "baddbmm": 2}


class UnrecordableError(Exception):
    """Why compiled code cannot be written down, in one line."""


@dataclass(frozen=True)
class Place:
    """``offset`` bytes into input number ``buffer``; the scratch memory is the buffer after the last input."""

    buffer: int
    offset: int


@dataclass(frozen=True)
class View:
    """A tensor in memory: its place, shape, strides in elements, and dtype."""

    place: Place
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class KernelCall:
    """The machine code in library number ``library``, called on addresses."""

    library: int
    places: tuple[Place, ...]


@dataclass(frozen=True)
class LibraryCall:
    """One of torch's own functions (a key of ``LIBRARY``) on tensors, the output first, and on numbers."""

    name: str
    views: tuple[View, ...]
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class Recording:
    """Calls in their order, on ``inputs`` buffers and ``scratch`` bytes; ``libraries`` are files of machine code."""

    inputs: int
    scratch: int
    calls: tuple[KernelCall | LibraryCall, ...]
    libraries: tuple[Path, ...]


def record(compiled: Callable, inputs: Sequence[Tensor]) -> Recording:
    """Run what :func:`~pyro_vae.compiling.machine.inductor` made, which returns nothing, and keep its calls.

    ``inputs`` must not share memory. Raises :class:`UnrecordableError` for code that does anything but call machine
    code and matrix products on its inputs and on buffers of its own.
    """
    recorder = _Recorder(list(inputs))
    with _intercepted(_namespace(compiled), recorder), recorder:
        compiled(list(inputs))
    return recorder.recording()


def _namespace(compiled: Any) -> dict[str, Any]:
    """The names that Inductor's Python function looks up."""
    while hasattr(compiled, "current_callable"):
        compiled = compiled.current_callable
    function = getattr(compiled, "__func__", compiled)
    names = getattr(function, "__globals__", None)
    if names is None or "empty_strided_cpu" not in names:
        raise UnrecordableError("Inductor's output is not of the known form")
    return names


@contextmanager
def _intercepted(names: dict[str, Any], recorder: _Recorder) -> Iterator[None]:
    before = dict(names)
    try:
        for name, value in before.items():
            if name.startswith("cpp_fused"):
                names[name] = recorder.kernel(value)
        names["empty_strided_cpu"] = recorder.allocating(names["empty_strided_cpu"])
        names["extern_kernels"] = _Library(recorder, names["extern_kernels"])
        yield
    finally:
        names.update(before)


class _Library:
    """Stands where Inductor's table of torch's functions stands."""

    def __init__(self, recorder: _Recorder, functions: Any):
        self._recorder, self._functions = recorder, functions

    def __getattr__(self, name: str) -> Callable:
        return self._recorder.library(name, getattr(self._functions, name))


class _Recorder(TorchDispatchMode):
    """Sees every call that compiled code makes; whatever is not expected is an error."""

    def __init__(self, inputs: list[Tensor]):
        super().__init__()
        self.inputs = inputs
        self.buffers: list[Tensor] = []  # kept, so that no two of them have the same address
        self.calls: list[KernelCall | LibraryCall] = []
        self.libraries: list[Path] = []
        self.expected = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self.expected:
            raise UnrecordableError(f"it calls {func}, which is no machine code of Inductor's")
        return func(*args, **(kwargs or {}))

    def allocating(self, allocate: Callable) -> Callable:
        def call(*arguments: Any) -> Tensor:
            buffer = allocate(*arguments)
            self.buffers.append(buffer)
            return buffer

        return call

    def kernel(self, code: Any) -> Callable:
        def call(*arguments: Any) -> None:
            file = getattr(getattr(code, "__self__", None), "__file__", None)
            if file is None:
                raise UnrecordableError("a piece of machine code lies in no file")
            if Path(file) not in self.libraries:
                self.libraries.append(Path(file))
            places = tuple(self._place(argument) for argument in arguments)
            self.calls.append(KernelCall(self.libraries.index(Path(file)), places))
            code(*arguments)

        return call

    def library(self, name: str, function: Callable) -> Callable:
        def call(*tensors: Any, out: Tensor | None = None, alpha: float = 1, beta: float = 1) -> Any:
            if name not in LIBRARY or out is None:
                raise UnrecordableError(f"it calls torch's {name}")
            views = tuple(self._view(tensor) for tensor in (out, *tensors))
            numbers = (float(beta), float(alpha)) if LIBRARY[name] else ()
            self.calls.append(LibraryCall(name, views, numbers))
            self.expected = True
            try:
                scales = {"alpha": alpha, "beta": beta} if LIBRARY[name] else {}
                return function(*tensors, out=out, **scales)
            finally:
                self.expected = False

        return call

    def _place(self, tensor: Any) -> Place:
        if not isinstance(tensor, Tensor):
            raise UnrecordableError(f"machine code is given {type(tensor).__name__} {tensor!r}")
        address = tensor.data_ptr()
        for index, buffer in enumerate(self.inputs + self.buffers):
            start = buffer.data_ptr()
            if start <= address < start + max(1, _bytes(buffer)):
                return Place(index, address - start)
        raise UnrecordableError("machine code is given memory that is neither an input nor a buffer of its own")

    def _view(self, tensor: Tensor) -> View:
        return View(self._place(tensor), tuple(tensor.shape), tensor.stride(), str(tensor.dtype).split(".")[1])

    def recording(self) -> Recording:
        """The calls, with all buffers of the code's own laid into one piece of scratch memory."""
        offsets, scratch = self._laid_out()
        first = len(self.inputs)

        def moved(place: Place) -> Place:
            if place.buffer < first:
                return place
            return Place(first, offsets[place.buffer] + place.offset)

        calls: list[KernelCall | LibraryCall] = []
        for call in self.calls:
            if isinstance(call, KernelCall):
                calls.append(replace(call, places=tuple(map(moved, call.places))))
            else:
                views = tuple(replace(view, place=moved(view.place)) for view in call.views)
                calls.append(replace(call, views=views))
        return Recording(first, scratch, tuple(calls), tuple(self.libraries))

    def _laid_out(self) -> tuple[dict[int, int], int]:
        """Where in the scratch memory each buffer lies: two share bytes only if they are used at different times."""
        used: dict[int, list[int]] = {}
        for time, call in enumerate(self.calls):
            for place in _places(call):
                if place.buffer >= len(self.inputs):
                    used.setdefault(place.buffer, [time, time])[1] = time
        offsets: dict[int, int] = {}
        total = 0
        for buffer, (begin, end) in used.items():
            size = self._size(buffer)
            taken = sorted(
                (offsets[other], offsets[other] + self._size(other))
                for other in offsets
                if used[other][0] <= end and begin <= used[other][1]
            )
            offset = 0
            for start, stop in taken:
                if offset + size <= start:
                    break
                offset = max(offset, stop)
            offsets[buffer] = offset
            total = max(total, offset + size)
        return offsets, total

    def _size(self, buffer: int) -> int:
        """Bytes that a buffer of the code's own takes up."""
        return -(-_bytes(self.buffers[buffer - len(self.inputs)]) // ALIGNMENT) * ALIGNMENT


def _places(call: KernelCall | LibraryCall) -> Sequence[Place]:
    return call.places if isinstance(call, KernelCall) else [view.place for view in call.views]


def _bytes(tensor: Tensor) -> int:
    """From the first element to the end of the last."""
    if tensor.numel() == 0:
        return 0
    span = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (span + 1) * tensor.element_size()
