"""Findings about parameters and layers that stand where only some numbers may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor

from pyro_vae.particles.checks import describe_support
from pyro_vae.particles.handlers import is_delta
from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.gradients import where_of
from pyro_vae.studies.checking.look import Look
from pyro_vae.studies.checking.source import with_keyword
from pyro_vae.studies.checking.visiting import Statement

# the beginnings of the names of operations that leave a number as it is
_PASSING = (
    *("Expand", "View", "Unsqueeze", "Squeeze", "Select", "Index", "Slice", "Alias", "Clone", "Split", "Unsafe"),
    *("Reshape", "Permute", "Transpose", "TBackward", "ToCopy", "Unbind"),
)
_UNBOUNDED = {
    "AddmmBackward0": "a linear layer",
    "MmBackward0": "a matrix product",
    "TanhBackward0": "tanh",
    "ReluBackward0": "relu",
    "LeakyReluBackward0": "leaky_relu",
}
_POSITIVE = ("GreaterThan(lower_bound=0.0)", "GreaterThanEq(lower_bound=0.0)")


def without_constraint(look: Look) -> Iterator[Finding]:
    """A parameter stands where a distribution wants a constraint that it has not."""
    for one, argument, needed, name in _arguments(look):
        known = look.seen.constraints[name]
        if _implies(known, needed):
            continue
        where = where_of(name, look)
        wanted = _constraint_code(needed)
        yield Finding(
            f"Parameter '{name}' stands as {argument} of site '{one.name}', which must be {_needs(needed)}, and has "
            f"{'no constraint' if str(known) == 'Real()' else f'a constraint for numbers {describe_support(known)}'}.",
            f"Say so where it is made: pyro.param('{name}', ..., constraint={wanted}).",
            site=one.name,
            parameter=name,
            where=where,
            line=where and where.corrected(with_keyword("constraint", wanted)),
        )


def _arguments(look: Look) -> Iterator[tuple[Statement, str, Any, str]]:
    """Where a parameter is given to a distribution as it is: statement, argument, its domain, the parameter's name."""
    made = [(name, one.message["value"]) for visit in look.visits for name, one in visit.params.items()]
    nodes = {value.grad_fn: name for name, value in made if isinstance(value, Tensor) and value.grad_fn is not None}
    leaves = {id(leaf): name for name, leaf in look.seen.leaves.items()}
    known: set[tuple[str, str]] = set()
    for one, argument, needed, value in _constrained(look):
        origin = _origin(value, nodes)
        name = origin if isinstance(origin, str) and origin in look.seen.sites else leaves.get(id(origin))
        if isinstance(name, str) and (name, argument) not in known:
            known.add((name, argument))
            yield one, argument, needed, name


def _constrained(look: Look) -> Iterator[tuple[Statement, str, Any, Tensor]]:
    for visit in look.visits:
        for one in visit.sites.values():
            fn = one.fn
            while fn is not None and not is_delta(fn):
                for argument, needed in getattr(fn, "arg_constraints", {}).items():
                    value = vars(fn).get(argument)
                    if isinstance(value, Tensor) and value.requires_grad and _needs(needed):
                        yield one, argument, needed, value
                fn = getattr(fn, "base_dist", None)


def _needs(needed: Any) -> str:
    text = str(needed)
    if text in _POSITIVE:
        return "positive"
    return {"Interval(lower_bound=0.0, upper_bound=1.0)": "between 0 and 1", "Simplex()": "a probability vector"}.get(
        text, ""
    )


def _constraint_code(needed: Any) -> str:
    word = {"positive": "positive", "between 0 and 1": "unit_interval", "a probability vector": "simplex"}
    return f"constraints.{word[_needs(needed)]}"


def _implies(known: Any, needed: Any) -> bool:
    """Whether values under one constraint satisfy another; in doubt, yes."""
    while hasattr(known, "base_constraint"):
        known = known.base_constraint
    text, want = str(known), _needs(needed)
    if text == "Real()":
        return False
    if want == "positive":
        return not text.startswith(("LessThan", "RealVector"))
    if text.startswith("GreaterThan") or text in ("Positive()", "SoftplusPositive()"):
        return False
    return not (want == "a probability vector" and text.startswith("Interval"))


def _origin(value: Tensor, nodes: Mapping[Any, str] = MappingProxyType({})) -> Tensor | str:
    """The leaf that a tensor is a view of, the name that ``nodes`` gives to where it comes from, or the operation that
    made it."""
    node = value.grad_fn
    if node is None:
        return value
    while node is not None and node not in nodes and type(node).__name__.startswith(_PASSING):
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        node = parents[0] if len(parents) == 1 else None
    if node in nodes:
        return nodes[node]
    return getattr(node, "variable", type(node).__name__)


def net_without_constraint(look: Look) -> Iterator[Finding]:
    """The output of a layer stands, as it is, where only positive numbers or probabilities may."""
    known: set[str] = set()
    for one, argument, needed, value in _constrained(look):
        origin = _origin(value)
        layer = _UNBOUNDED.get(origin) if isinstance(origin, str) else None
        if layer is None or one.name in known:
            continue
        known.add(one.name)
        function = {
            "positive": f"torch.nn.functional.softplus({argument}) + 1e-6, or {argument}.exp()",
            "between 0 and 1": f"torch.sigmoid({argument}), or logits={argument} in place of probs=",
            "a probability vector": f"torch.softmax({argument}, -1), or logits={argument} in place of probs=",
        }[_needs(needed)]
        yield Finding(
            f"The {argument} of site '{one.name}' comes straight from {layer}, and must be {_needs(needed)}.",
            f"Put it through {function}.",
            site=one.name,
            where=one.where,
        )
