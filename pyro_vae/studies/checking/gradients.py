"""Findings about what is trained: parameters without gradient, and weights that no optimiser knows of."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pyro.infer.autoguide import AutoGuide
from torch import Tensor, nn

from pyro_vae.studies.checking.finding import Finding
from pyro_vae.studies.checking.look import Look
from pyro_vae.studies.checking.source import Where, definition
from pyro_vae.studies.checking.untouched import modules_used


def without_gradient(look: Look) -> Iterator[Finding]:
    """No log-density depends on a parameter."""
    if look.run is None:
        return
    silent = [name for name, gradient in look.gradients.items() if gradient is None]
    for name in silent:
        if _of_module(name, look):
            continue
        where = where_of(name, look)
        near = difflib.get_close_matches(name, [other for other in look.gradients if other not in silent], 1, 0.85)
        hint = f" Was '{near[0]}' meant, which has nearly its name?" if near else ""
        yield Finding(
            f"Parameter '{name}' has no influence on any density, so it stays where it starts.",
            "Use its value in a distribution, and let nothing on the way cut the gradient: .detach(), .data, .item(), "
            f"float(), torch.tensor(...) or torch.no_grad() do.{hint}",
            parameter=name,
            where=where,
            line=where and _uncut(where),
        )


def _uncut(where: Where) -> str | None:
    """The line without the call after it that cuts the gradient."""
    for cut in (".detach()", ".data", ".item()"):
        if where.after.startswith(cut):
            return f"{where.before}{where.call}{where.after.removeprefix(cut)}".strip()
    return None


def idle_module(look: Look) -> Iterator[Finding]:
    """Weights of a module that no density depends on."""
    if look.run is None:
        return
    silent = [name for name, gradient in look.gradients.items() if gradient is None and _of_module(name, look)]
    if silent and look.guide is not None and not isinstance(look.guide, AutoGuide):  # such leave an encoder idle
        more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
        yield Finding(
            f"The module's parameter '{silent[0]}'{more} has no influence on any density, so it is not trained.",
            "Use the layer in model or guide, or take it out of the module.",
            parameter=silent[0],
            where=where_of(silent[0], look),
        )


def _of_module(name: str, look: Look) -> bool:
    leaf = look.seen.leaves.get(name)
    return any(part is leaf for module in look.modules.values() for part in module.parameters())


def where_of(name: str, look: Look) -> Where | None:
    """Where a parameter is made."""
    return next((found for visit in look.visits if (found := visit.where(name)) is not None), None)


def untrained(look: Look) -> Iterator[Finding]:
    """A tensor that would be trained, if the optimiser knew of it."""
    if look.total is None or look.total.grad_fn is None:
        return
    seen = {id(leaf) for leaf in look.seen.leaves.values()} | {id(value) for value in look.arrays.values()}
    strangers = [leaf for leaf in leaves_of(look.total) if id(leaf) not in seen]
    done: set[str] = set()
    for leaf in strangers:
        module, name = _module_of(leaf, look)
        if module in done:
            continue
        done.add(module or name)
        if module:
            yield Finding(
                f"The module '{module}' is used and not registered: its weights ('{name}' among them) are not trained.",
                f"Register it at the start of model or guide: pyro.module('{module}', {module}); or make the program a "
                "PyroModule with it as an attribute.",
                parameter=name,
                where=definition(look.model if module in _names_in(look.model) else look.guide or look.model),
                line=f'pyro.module("{module}", {module})',
            )
        else:
            yield Finding(
                f"A tensor of shape {tuple(leaf.shape)} with requires_grad=True is used, and is no parameter of "
                "Pyro's.",
                "Make it one: pyro.param('name', tensor). An optimiser of Pyro's knows of no other.",
                parameter=name or None,
                line=f'pyro.param("name", torch.zeros({tuple(leaf.shape)}))',
            )


def _names_in(program: Any) -> tuple[str, ...]:
    return tuple(modules_used(program))


def _module_of(leaf: Tensor, look: Look) -> tuple[str, str]:
    for label, module in look.modules.items():
        for name, part in module.named_parameters():
            if part is leaf:
                return label, name
    return "", ""


def leaves_of(total: Tensor) -> list[Tensor]:
    """The leaves that a tensor has a derivative by."""
    found: dict[int, Tensor] = {}
    todo, known = [total.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in known:
            continue
        known.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found[id(leaf)] = leaf
        todo.extend(parent for parent, _ in node.next_functions)
    return list(found.values())


def frozen(look: Look) -> Iterator[Finding]:
    """Parameters of a module in use with ``requires_grad=False``."""
    for label, module in look.modules.items():
        off = [name for name, part in _frozen_among_others(module)]
        if off:
            more = f" and {len(off) - 1} more" if len(off) > 1 else ""
            yield Finding(
                f"The parameter '{off[0]}'{more} of module '{label}' has requires_grad=False, so it is not trained.",
                f"Switch it on with {label}.requires_grad_(True), or make what is meant to stay fixed a buffer: "
                "self.register_buffer(name, tensor).",
                parameter=off[0],
                line=f"{label}.requires_grad_(True)",
            )


def _frozen_among_others(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Frozen parameters of a layer that is trained otherwise; a net that is frozen as a whole is meant to be."""
    for prefix, part in module.named_modules():
        if any(other.requires_grad for other in part.parameters()):
            for name, value in part.named_parameters(prefix, recurse=False):
                if not value.requires_grad:
                    yield name, value


def data_with_gradient(look: Look) -> Iterator[Finding]:
    """Data that ask for a gradient."""
    for label, value in look.arrays.items():
        if isinstance(value, Tensor) and value.requires_grad:
            yield Finding(
                f"The data '{label}' have requires_grad=True.",
                "Detach the data before the fit: x = x.detach().",
                line=f"{label} = {label}.detach()" if label.isidentifier() else None,
            )


def nothing_to_train(look: Look) -> Iterator[Finding]:
    """Neither guide nor model has a parameter."""
    if look.run is None or look.guide is None or look.seen.leaves or look.has("unregistered"):
        return
    name = next(iter(look.of_guide.sites), None)
    yield Finding(
        "Neither guide nor model has a parameter: there is nothing to fit.",
        "Give the guide's distributions parameters of their own with pyro.param, or use an automatic guide such as "
        '"auto_normal".',
        site=name,
        where=definition(look.guide),
        line=f'pyro.param("{name or "z"}_loc", torch.tensor(0.0))',
    )


def fixed_guide(look: Look) -> Iterator[Finding]:
    """The guide draws latents and has no parameter, though the model has."""
    if look.run is None or look.guide is None or not look.seen.leaves or look.has("unregistered"):
        return
    own = Look(look.model, look.guide, look.args, look.kwargs, of_guide=look.of_guide)
    drawn = [name for name, one in look.of_guide.sites.items() if not one.message["is_observed"]]
    leaves = {id(leaf) for leaf in own.seen.leaves.values()}
    if drawn and not leaves:
        yield Finding(
            "The guide has no parameter: it stays as it is, whatever the data say.",
            "Give its distributions parameters with pyro.param.",
            site=drawn[0],
            where=look.of_guide.where(drawn[0]),
            line=f'pyro.param("{drawn[0]}_loc", torch.tensor(0.0))',
        )
