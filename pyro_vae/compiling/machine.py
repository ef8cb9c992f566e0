"""Machine code for a list of tensor operations, made by torch Inductor (a C++ compiler is needed)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, fx

# Loops this long are worth the seconds that it takes to find out, once, which vector instructions there are.
_LONG = 512


def inductor(graph: fx.GraphModule, inputs: Sequence[Tensor], **options: Any) -> Callable[[list[Tensor]], Sequence]:
    """Machine code for the graph: a function of a list of tensors.

    Vector instructions are used where a tensor is long; ``options`` are Inductor's own.
    """
    with _quick_compile(graph, options):
        from torch._inductor.compile_fx import compile_fx_inner  # importing it warns of torch's own deprecations

        return compile_fx_inner(graph, list(inputs))  # type: ignore[return-value]


@contextmanager
def _quick_compile(graph: fx.GraphModule, options: dict[str, Any]) -> Iterator[None]:
    """Inductor set for one graph: one thread, one process; all put back after.

    Headers are compiled once and for all where vector instructions are used: those of a small graph are quickly read.
    """
    from torch._inductor import config, cpu_vec_isa

    sizes = [node.meta["val"].numel() for node in graph.graph.nodes if isinstance(node.meta.get("val"), Tensor)]
    scalar = max(sizes, default=0) < _LONG
    settings = {"compile_threads": 1, "cpp.threads": 1, "cpp_cache_precompile_headers": not scalar, **options}
    settings["cpp.descriptive_names"] = "original_aten"  # names of kernels, by which recordings know them
    if scalar:
        settings["cpp.vec_isa_ok"] = False
        cpu_vec_isa.valid_vec_isa_list.cache_clear()
    try:
        with config.patch(settings):
            yield
    finally:
        if scalar:
            cpu_vec_isa.valid_vec_isa_list.cache_clear()
