"""A log density and its gradient as one compiled function, held against the eager one before it is used.

The function's operations are written down once (``pyro_vae.compiling``) and turned into machine code by Inductor, or
TorchScript runs them. Called by ``density``; knows nothing of Pyro.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx

from pyro_vae.compiling.building import build
from pyro_vae.compiling.constants import constants_as_inputs, fold_constants
from pyro_vae.compiling.decompositions import decompose
from pyro_vae.compiling.tape import Pool, Tape
from pyro_vae.compiling.writing import copied, first_line, is_random, without_writes, write_down, written_elsewhere
from pyro_vae.errors import ModelError

Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray]]
TensorPair = Callable[[Tensor], tuple[Tensor, Tensor]]

_LARGE = 2000  # operations
TOLERANCE = 1e-10  # relative, in 64 bits: the compiler may sum in another order, and no more


@dataclass(frozen=True)
class Gradient:
    """``evaluate(x[D]) -> (log density, its gradient [D])``; ``backend`` is ``inductor``, ``torchscript`` or ``eager``.

    ``why`` says in one line why a slower backend than Inductor is used; empty for Inductor. ``native`` makes a C
    function of it for as many threads as it is told, where there is one.
    """

    evaluate: Evaluate
    backend: str
    why: str = ""
    native: Callable[[int], Pool] | None = None


def compile_gradient(eager: TensorPair, points: Sequence[np.ndarray], *, tolerance: float = TOLERANCE) -> Gradient:
    """The fastest function that agrees with ``eager`` at all ``points``, ``[D]`` each.

    ``eager`` maps ``x[D]`` to the log density and its gradient. What cannot be written down once for all points
    (control flow that depends on values, random numbers, NumPy inside) stays eager.
    """
    with warnings.catch_warnings():  # torch warns of its own parts: deprecated here, experimental there
        warnings.simplefilter("ignore")
        return _fastest(eager, points, tolerance)


def _fastest(eager: TensorPair, points: Sequence[np.ndarray], tolerance: float) -> Gradient:
    plain = as_numpy(eager)
    expected = [plain(point) for point in points]
    start = torch.as_tensor(points[0])
    reasons = []
    try:
        graph = _trace(eager, start)
    except Exception as error:  # whatever a person's code does under tracing is a reason, not a failure
        return Gradient(plain, "eager", f"the model cannot be traced ({first_line(error)})")
    random = [str(node.target) for node in graph.graph.nodes if is_random(node)]
    if random:
        return Gradient(plain, "eager", f"the model draws random numbers beyond its sample sites ({random[0]})")
    fold_constants(graph)
    backends = {"inductor": _Inductor, "torchscript": _torchscript}
    if len(graph.graph.nodes) > _LARGE:
        del backends["inductor"]
        reasons.append(f"the model is {len(graph.graph.nodes)} operations long, which would take minutes to compile")
    for name, backend in backends.items():
        try:
            pair = backend(graph, start)
            compiled = as_numpy(pair)
            worst = disagreement(compiled, points, expected)
        except Exception as error:  # compilers fail in many ways, and the next one may not
            reasons.append(f"{name} failed ({first_line(error)})")
            continue
        if worst <= tolerance:
            return Gradient(compiled, name, "; ".join(reasons), getattr(pair, "native", None))
        reasons.append(
            f"{name} gives another value (relative difference {worst:.1e}: does the model branch on values?)"
        )
    return Gradient(plain, "eager", "; ".join(reasons))


def disagreement(
    evaluate: Evaluate, points: Sequence[np.ndarray], expected: Sequence[tuple[float, np.ndarray]]
) -> float:
    """The largest relative difference of value or gradient over ``points``; infinite where only one is finite."""
    worst = 0.0
    for point, (value, gradient) in zip(points, expected, strict=True):
        got, got_gradient = evaluate(point)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            same = np.isfinite(got) == np.isfinite(value)
            worst = max(worst, 0.0 if same else np.inf)
            continue
        scale = np.abs(gradient).max(initial=1.0)
        differences = (
            abs(got - value) / max(abs(value), 1.0),
            np.abs(got_gradient - gradient).max(initial=0.0) / scale,
        )
        worst = max(worst, *(float(d) if np.isfinite(d) else np.inf for d in differences))
    return worst


def as_numpy(pair: TensorPair) -> Evaluate:
    """The same function from NumPy to NumPy. Linear algebra that breaks down at a point gives NaN there."""

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            value, gradient = pair(torch.from_numpy(np.array(x, dtype=np.float64)))
        except (torch.linalg.LinAlgError, ModelError) as error:
            if not isinstance(error.__cause__ or error, torch.linalg.LinAlgError):
                raise
            return np.nan, np.zeros_like(x)
        return value.item(), gradient.numpy()

    return evaluate


def _trace(eager: TensorPair, start: Tensor) -> fx.GraphModule:
    """Value and gradient as a list of tensor operations, those of constants included."""
    graph = write_down(eager, [start], decompose=False)
    graph.graph.eliminate_dead_code()
    return graph


class _Inductor:
    """The pair in place: machine code that reads x and writes the value and the gradient, each a tensor of its own."""

    def __init__(self, graph: fx.GraphModule, start: Tensor):
        self.graph = copied(graph)
        decompose(self.graph)
        self.constants = constants_as_inputs(self.graph)
        self.start = start
        self.built = build(self._write, self._memory(), text=(self.graph, "a value and its gradient"))
        if self.built.recording is not None:
            self.native = lambda threads: Pool([self._tape() for _ in range(threads)])
        self.memory = self._memory()
        self.steps = self.built.on(self.memory)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.built.compiled is not None:  # it may be called from several threads
            memory = self._memory()
            memory[0].copy_(x)
            self.built.compiled(list(memory))
            return memory[1], memory[2]
        self.memory[0].copy_(x)
        self.steps(0, 1)
        return self.memory[1].clone(), self.memory[2].clone()

    def _memory(self) -> list[Tensor]:
        return [torch.empty_like(self.start), self.start.new_empty(()), torch.empty_like(self.start), *self.constants]

    def _tape(self) -> Tape:
        assert self.built.recording is not None
        return Tape(self.built.recording, self.built.loop, self._memory())

    def _write(self, examples: Sequence[Tensor]) -> fx.GraphModule:
        def step(x: Tensor, value: Tensor, gradient: Tensor, *constants: Tensor) -> tuple:
            found, slope = self.graph(x, *constants)
            value.copy_(found)
            gradient.copy_(slope)
            return ()

        graph = without_writes(step, examples)
        changed = written_elsewhere(graph, 1, 3)
        if changed:
            raise ValueError(f"{changed} writes in place")
        return graph


def _torchscript(graph: fx.GraphModule, start: Tensor) -> TensorPair:
    """TorchScript cannot take the device in a call: on the CPU it goes without saying."""
    graph = without_writes(graph, [start])
    changed = written_elsewhere(graph, 0, 0)
    if changed:
        raise ValueError(f"{changed} writes in place")
    fold_constants(graph)
    for node in graph.graph.nodes:
        if node.op == "call_function" and getattr(node.kwargs.get("device"), "type", "cpu") == "cpu":
            node.kwargs = {name: value for name, value in node.kwargs.items() if name not in _UNSAID}
    graph.recompile()
    return torch.jit.trace(graph, (start,), check_trace=False)  # type: ignore[return-value]


_UNSAID = ("device", "layout", "pin_memory")
