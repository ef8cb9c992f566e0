"""A C++ loop over recorded calls: its source, made from a recording, and the compiler's call."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pyro_vae.compiling.recording import LIBRARY, KernelCall, LibraryCall, Place, Recording

# play(steps, bases, functions, tensors, rows, n_rows, message, room): 0, or 1 + the step that failed with its message.
_HEAD = """\
#include <cstdint>
#include <cstring>
#include <exception>

struct Row { char* fixed; char* moving; int64_t bytes; int64_t out; };

extern "C" int64_t play(int64_t steps, char** b, void** f, void** t, const Row* rows, int64_t n_rows,
                        char* message, int64_t room) {
  int64_t step = 0;
  try {
    for (; step < steps; ++step) {
      for (int64_t r = 0; r < n_rows; ++r)
        if (!rows[r].out) std::memcpy(rows[r].fixed, rows[r].moving + step * rows[r].bytes, rows[r].bytes);
"""
_TAIL = """\
      for (int64_t r = 0; r < n_rows; ++r)
        if (rows[r].out) std::memcpy(rows[r].moving + step * rows[r].bytes, rows[r].fixed, rows[r].bytes);
    }
  } catch (const std::exception& error) {
    std::strncpy(message, error.what(), room - 1);
    return step + 1;
  } catch (...) {
    return step + 1;
  }
  return 0;
}
"""


class CompilerError(Exception):
    """The C++ compiler failed, or there is none."""


def source(recording: Recording) -> str:
    """The loop in C++. ``f`` holds the machine code, then torch's functions; ``t`` every tensor of those calls."""
    lines, tensors, kernels = [], 0, len(recording.libraries)
    names = library_names(recording)
    for call in recording.calls:
        if isinstance(call, KernelCall):
            lines.append(_call("void", call.library, [_address(place) for place in call.places]))
            continue
        arguments = [f"t[{tensors + index}]" for index in range(len(call.views))]
        tensors += len(call.views)
        numbers = [repr(number) for number in call.numbers]
        function = kernels + names.index(call.name)
        lines.append(f"if ({_call('int32_t', function, arguments, numbers)[:-1]}) return step + 1;")
    return _HEAD + "".join(f"      {line}\n" for line in lines) + _TAIL


def library_names(recording: Recording) -> list[str]:
    """The torch functions that a recording calls, in the order in which the loop expects them."""
    used = {call.name for call in recording.calls if isinstance(call, LibraryCall)}
    return [name for name in LIBRARY if name in used]


def _call(returns: str, function: int, arguments: list[str], numbers: list[str] | None = None) -> str:
    numbers = numbers or []
    types = ", ".join(["void*"] * len(arguments) + ["double"] * len(numbers))
    return f"(({returns} (*)({types}))f[{function}])({', '.join(arguments + numbers)});"


def _address(place: Place) -> str:
    return f"b[{place.buffer}] + {place.offset}"


def build(code: str, folder: Path) -> Path:
    """Compile the loop into ``folder``; returns the library. Raises :class:`CompilerError`."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    text, library = folder / "loop.cpp", folder / "loop.so"
    text.write_text(code)
    command = [get_cpp_compiler(), "-O1", "-std=c++17", "-shared", "-fPIC", "-o", str(library), str(text)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        first = next(iter(error.stderr.strip().splitlines()), str(error))
        raise CompilerError(f"the C++ compiler failed on a loop: {first}") from error
    return library
