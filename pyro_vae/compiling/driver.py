"""C++ around recorded calls: a loop over steps, and a log density in the form that samplers call. Source and compiler.

Both take tables: ``b`` the addresses of inputs and scratch memory, ``f`` those of the machine code and then of torch's
functions, ``t`` torch's tensor objects for these.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from pyro_vae.compiling.recording import LIBRARY, KernelCall, LibraryCall, Place, Recording

_HEAD = """\
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>

struct Row { char* fixed; char* moving; int64_t bytes; int64_t out; };
struct Copy { char* to; const char* from; int64_t bytes; };
struct Mean { char* mean; const char* value; int64_t count; int64_t size; };
struct Beside {
  const Row* rows; int64_t n_rows;
  const Copy* given; int64_t n_given;
  const Mean* means; int64_t n_means;
  const double* weights;
  const Copy* kept; int64_t n_kept;
};
struct Slot { std::atomic<int64_t> busy; char** b; void** f; void** t; };
struct Pool { int64_t size; Slot* slots; };

static int once(char** b, void** f, void** t) {
"""
# play: 0, or 1 + the step that failed, with its message.
# density: inputs 0, 1, 2 are x, the value and the gradient; 0, or a reason for which a sampler rejects the point. Each
# call takes a slot that no other thread is using.
_TAIL = """\
  return 0;
}

template <class T> static void move(T* __restrict mean, const T* __restrict value, int64_t count, T weight) {
  if (weight < T(.5))
    for (int64_t i = 0; i < count; ++i) mean[i] += weight * (value[i] - mean[i]);
  else
    for (int64_t i = 0; i < count; ++i) mean[i] = value[i] - (value[i] - mean[i]) * (1 - weight);
}

static void average(const Mean& one, double weight) {
  if (one.size == 4) move((float*)one.mean, (const float*)one.value, one.count, (float)weight);
  else move((double*)one.mean, (const double*)one.value, one.count, weight);
}

static void copy_rows(const Beside& beside, int64_t step, int64_t out) {
  for (int64_t i = 0; i < beside.n_rows; ++i) {
    const Row& row = beside.rows[i];
    char* moving = row.moving + step * row.bytes;
    if (row.out == out) std::memcpy(out ? moving : row.fixed, out ? row.fixed : moving, row.bytes);
  }
}

extern "C" int64_t play(int64_t first, int64_t stop, char** b, void** f, void** t, const Beside* beside,
                        const char* const* origins, char* message, int64_t room) {
  message[0] = 0;
  int64_t step = first;
  try {
    for (; step < stop; ++step) {
      copy_rows(*beside, step, 0);
      for (int64_t i = 0; i < beside->n_given; ++i)
        std::memcpy(beside->given[i].to, *origins++, beside->given[i].bytes);
      if (step == stop - 1)
        for (int64_t i = 0; i < beside->n_kept; ++i)
          std::memcpy(beside->kept[i].to, beside->kept[i].from, beside->kept[i].bytes);
      if (once(b, f, t)) return step + 1;
      copy_rows(*beside, step, 1);
      if (beside->weights && beside->weights[step] != 0)
        for (int64_t i = 0; i < beside->n_means; ++i) average(beside->means[i], beside->weights[step]);
    }
  } catch (const std::exception& error) {
    std::strncpy(message, error.what(), room - 1);
    return step + 1;
  } catch (...) {
    return step + 1;
  }
  return 0;
}

static int64_t evaluate(uint64_t size, const double* x, double* gradient, double* value, Slot& slot) {
  std::memcpy(slot.b[0], x, size * sizeof(double));
  try {
    if (once(slot.b, slot.f, slot.t)) return 1;
  } catch (...) {
    return 2;
  }
  std::memcpy(value, slot.b[1], sizeof(double));
  std::memcpy(gradient, slot.b[2], size * sizeof(double));
  for (uint64_t i = 0; i < size; ++i)
    if (!std::isfinite(gradient[i])) return 3;
  return std::isfinite(*value) ? 0 : 4;
}

extern "C" int64_t density(uint64_t size, const double* x, double* gradient, double* value, void* user) {
  Pool* pool = static_cast<Pool*>(user);
  for (int64_t i = 0;; i = (i + 1) % pool->size) {
    Slot& slot = pool->slots[i];
    if (slot.busy.exchange(1, std::memory_order_acquire)) continue;
    int64_t code = evaluate(size, x, gradient, value, slot);
    slot.busy.store(0, std::memory_order_release);
    return code;
  }
}

extern "C" int64_t unchanged(uint64_t size, uint64_t same, const double* x, double* out, void*) {
  std::memcpy(out, x, size * sizeof(double));
  return size == same ? 0 : -1;
}
"""


class CompilerError(Exception):
    """The C++ compiler failed, or there is none."""


def source(recording: Recording) -> str:
    """The calls of a recording in C++, and what runs them."""
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
        lines.append(f"if ({_call('int32_t', function, arguments, numbers)[:-1]}) return 1;")
    return _HEAD + "".join(f"  {line}\n" for line in lines) + _TAIL


def library_names(recording: Recording) -> list[str]:
    """The torch functions that a recording calls, in the order in which the source expects them."""
    used = {call.name for call in recording.calls if isinstance(call, LibraryCall)}
    return [name for name in LIBRARY if name in used]


def _call(returns: str, function: int, arguments: list[str], numbers: list[str] | None = None) -> str:
    numbers = numbers or []
    types = ", ".join(["void*"] * len(arguments) + ["double"] * len(numbers))
    return f"(({returns} (*)({types}))f[{function}])({', '.join(arguments + numbers)});"


def _address(place: Place) -> str:
    return f"b[{place.buffer}] + {place.offset}"


def build(code: str, folder: Path) -> Path:
    """Compile a :func:`source` into ``folder``; returns the library. Raises :class:`CompilerError`."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    text, library = folder / "loop.cpp", folder / "loop.so"
    text.write_text(code)
    # No fast mathematics here: whether a number is finite must be asked as it is written.
    command = [get_cpp_compiler(), "-O2", "-std=c++17", "-shared", "-fPIC", "-o", str(library), str(text)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        first = next(iter(error.stderr.strip().splitlines()), str(error))
        raise CompilerError(f"the C++ compiler failed on a loop: {first}") from error
    return library
