"""A log density and its gradient as one compiled function, held against the eager one before it is used.

The function is run once with ``make_fx``, which writes down every tensor operation of value and gradient, without Pyro
and autograd around them; torch Inductor turns that list into machine code (a C++ compiler is needed), or TorchScript
runs it. Called by ``density``; knows nothing of Pyro.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx

from pyro_vae.errors import ModelError

Evaluate = Callable[[np.ndarray], tuple[float, np.ndarray]]
TensorPair = Callable[[Tensor], tuple[Tensor, Tensor]]

_LARGE = 2000  # operations
TOLERANCE = 1e-10  # relative, in 64 bits: the compiler may sum in another order, and no more


@dataclass(frozen=True)
class Gradient:
    """``evaluate(x[D]) -> (log density, its gradient [D])``; ``backend`` is ``inductor``, ``torchscript`` or ``eager``.

    ``why`` says in one line why a slower backend than Inductor is used; empty for Inductor.
    """

    evaluate: Evaluate
    backend: str
    why: str = ""


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
        return Gradient(plain, "eager", f"the model cannot be traced ({_first_line(error)})")
    random = [str(node.target) for node in graph.graph.nodes if _is_random(node)]
    if random:
        return Gradient(plain, "eager", f"the model draws random numbers beyond its sample sites ({random[0]})")
    _fold_constants(graph)
    backends = {"inductor": _inductor, "torchscript": _torchscript}
    if len(graph.graph.nodes) > _LARGE:
        del backends["inductor"]
        reasons.append(f"the model is {len(graph.graph.nodes)} operations long, which would take minutes to compile")
    for name, backend in backends.items():
        try:
            compiled = as_numpy(backend(graph, start))
            worst = disagreement(compiled, points, expected)
        except Exception as error:  # compilers fail in many ways, and the next one may not
            reasons.append(f"{name} failed ({_first_line(error)})")
            continue
        if worst <= tolerance:
            return Gradient(compiled, name, "; ".join(reasons))
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
    from torch._inductor.decomposition import select_decomp_table
    from torch.fx.experimental.proxy_tensor import make_fx

    table = select_decomp_table()
    # The lambda, because make_fx counts the arguments of a bound method wrongly.
    graph = make_fx(lambda x: eager(x), decomposition_table=table)(start)
    _state_dtypes(graph)
    if any(map(_is_mutating, graph.graph.nodes)):
        # Autograd itself writes in place (the derivative of cumprod does), and a compiler expects that nothing does.
        graph = make_fx(torch.func.functionalize(graph), decomposition_table=table)(start)
    graph.graph.eliminate_dead_code()
    changed = [str(node.target) for node in graph.graph.nodes if _is_mutating(node)]
    if changed:
        raise ValueError(f"{changed[0]} writes in place")
    return graph


def _is_mutating(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def _state_dtypes(graph: fx.GraphModule) -> None:
    """Write down the dtype of every new tensor: the default is another one when the operations are run again."""
    for node in graph.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or node.all_input_nodes or node.kwargs.get("dtype") is not None:
            continue
        if any(argument.name == "dtype" for argument in schema.arguments):
            node.kwargs = {**node.kwargs, "dtype": node.meta["val"].dtype}
    graph.recompile()


def _fold_constants(graph: fx.GraphModule) -> None:
    """Compute now what depends on constants alone."""
    known: dict[fx.Node, Tensor] = {}
    for node in list(graph.graph.nodes):
        if node.op == "get_attr":
            known[node] = getattr(graph, node.target)
        elif node.op == "call_function" and all(source in known for source in node.all_input_nodes):
            value = node.target(*fx.map_arg(node.args, known.get), **fx.map_arg(node.kwargs, known.get))
            if not isinstance(value, Tensor):
                continue
            graph.register_buffer(f"_folded_{node.name}", value)
            with graph.graph.inserting_before(node):
                constant = graph.graph.get_attr(f"_folded_{node.name}")
            constant.meta = node.meta
            node.replace_all_uses_with(constant)
            graph.graph.erase_node(node)
            known[constant] = value
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _is_random(node: fx.Node) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _inductor(graph: fx.GraphModule, start: Tensor) -> TensorPair:
    with _quick_compile(graph):
        from torch._inductor.compile_fx import compile_fx_inner  # importing it warns of torch's own deprecations

        compiled = compile_fx_inner(graph, [start])
    return lambda x: tuple(compiled([x]))  # type: ignore[operator, return-value]


# Loops this long are worth the seconds that it takes to find out which vector instructions there are.
_LONG = 20_000


@contextmanager
def _quick_compile(graph: fx.GraphModule) -> Iterator[None]:
    """Inductor set for one small graph: one thread, one process, one call of the C++ compiler; all put back after."""
    from torch._inductor import config, cpu_vec_isa

    sizes = [node.meta["val"].numel() for node in graph.graph.nodes if isinstance(node.meta.get("val"), Tensor)]
    options = {"compile_threads": 1, "cpp.threads": 1, "cpp_cache_precompile_headers": False}
    scalar = max(sizes, default=0) < _LONG
    if scalar:
        options["cpp.vec_isa_ok"] = False
        cpu_vec_isa.valid_vec_isa_list.cache_clear()
    try:
        with config.patch(options):
            yield
    finally:
        if scalar:
            cpu_vec_isa.valid_vec_isa_list.cache_clear()


def _torchscript(graph: fx.GraphModule, start: Tensor) -> TensorPair:
    """TorchScript cannot take the device in a call: on the CPU it goes without saying."""
    graph = copy.deepcopy(graph)
    for node in graph.graph.nodes:
        if node.op == "call_function" and getattr(node.kwargs.get("device"), "type", "cpu") == "cpu":
            node.kwargs = {name: value for name, value in node.kwargs.items() if name not in _UNSAID}
    graph.recompile()
    return torch.jit.trace(graph, (start,), check_trace=False)  # type: ignore[return-value]


_UNSAID = ("device", "layout", "pin_memory")


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
