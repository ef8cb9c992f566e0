"""How operations are written in terms of fewer ones where that compiles to less work than Inductor's own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten


def decompose(graph: fx.GraphModule) -> None:
    """Let ``graph`` compute these operations our way, in place."""
    for node in graph.graph.nodes:
        if node.target in _OURS and not (node.target is aten.sigmoid.default and _whole(node)):
            node.target = _OURS[node.target]
    graph.recompile()


def _whole(node: fx.Node) -> bool:
    return not node.args[0].meta["val"].is_floating_point()  # pyright: ignore


def _norms(tensors: list[Tensor], ord: float = 2, dtype: torch.dtype | None = None) -> list[Tensor]:
    """``_foreach_norm`` one by one: whole, Inductor calls torch for it and cannot fuse what is around it."""
    return [torch.linalg.vector_norm(tensor, ord, dtype=dtype) for tensor in tensors]


def _cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: int = 1
) -> Tensor:
    """A Bernoulli's -log p(target), with the exponential that its derivative (:func:`_sigmoid`) takes too."""
    softplus = torch.log1p(torch.exp(-logits.abs()))  # of -|logits|
    if pos_weight is None:
        loss = logits.clamp(min=0) - logits * target + softplus
    else:
        loss = (1 - target) * logits + ((pos_weight - 1) * target + 1) * (softplus + (-logits).clamp(min=0))
    if weight is not None:
        loss = loss * weight
    return (loss, loss.mean(), loss.sum())[reduction] if reduction else loss


def _sigmoid(logits: Tensor) -> Tensor:
    """By exp(-abs(x)), never too large."""
    small = torch.exp(-logits.abs())
    return torch.where(logits >= 0, 1.0, small) / (1 + small)


_OURS: dict[Any, Callable] = {
    aten._foreach_norm.Scalar: _norms,
    aten.binary_cross_entropy_with_logits.default: _cross_entropy,
    aten.sigmoid.default: _sigmoid,
}
