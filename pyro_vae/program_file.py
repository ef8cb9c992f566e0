"""A Python file -> a model program, and what each kind of broken file is told."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pyro_vae.errors import DataError, ProgramError
from pyro_vae.importing import blaming, import_file, importable

if TYPE_CHECKING:
    from pyro_vae.datasets import Rows
    from pyro_vae.posteriordb import Posterior


@dataclass(frozen=True)
class Program:
    """A model program, loaded: what ``fit``, ``nuts`` and ``compare`` need, and what is known about its posterior.

    ``model`` and ``guides`` are called with ``data``, the dict of keyword arguments that ``load()`` in the file
    returned. ``baseline_model`` is the same posterior of the same names in coordinates that NUTS likes. ``coords`` and
    ``dims`` label the variables. ``reference`` is the contents of ``reference/<name>.json`` beside the file: values
    with where they come from. ``exact_draws(n, seed)`` gives n exact draws, ``{name: [n, *shape]}``.
    ``reference_draws()`` gives draws that somebody made of a posterior in posteriordb, ``{name: [chain, draw,
    *shape]}``. ``story`` is the file's docstring.

    Of a VAE program, ``vae`` is what ``build(**sizes)`` in the file made, ``model`` is ``vae.model`` and ``guides`` has
    ``vae.guide``; ``rows`` are the :class:`~pyro_vae.datasets.Rows` ``x`` of its data, with their kind and labels,
    ``from_rows`` makes the arguments of the model of other such rows, and ``training`` are the options that the file
    proposes for a fit.
    """

    name: str
    path: Path | None
    model: Callable
    guides: Mapping[str, Any] = field(default_factory=dict)
    data: Any = field(default_factory=dict)
    baseline_model: Callable | None = None
    coords: Mapping[str, Any] = field(default_factory=dict)
    dims: Mapping[str, list[str]] = field(default_factory=dict)
    reference: Mapping[str, Any] | None = None
    exact_draws: Callable[[int, int], Mapping[str, Any]] | None = None
    reference_draws: Callable[[], Mapping[str, Any]] | None = None
    story: str = ""
    vae: Any = None
    rows: Rows | None = None
    from_rows: Callable[[Rows], Mapping[str, Any]] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_reference(self) -> bool:
        """Whether there are draws to judge by that NUTS need not make: exact ones, or reference draws."""
        return self.exact_draws is not None or self.reference_draws is not None


def program_in(
    path: Path, model_name: str | None = None, sizes: Mapping[str, Any] | None = None, own: Rows | None = None
) -> Program:
    """The program in the file at ``path``, with the model of that name; ``sizes`` are the arguments of its ``build``.

    ``own`` are a person's rows, in the place of those that the file loads. Raises
    :class:`~pyro_vae.errors.ProgramError` naming the file, and its line where a line is at fault.
    """
    with importable(path.parent):
        module = import_file(path)
        builds, sizes = model_name is None and hasattr(module, "build"), sizes or {}
        if not builds and (sizes or own is not None):
            what, got = ("data but its own", "") if own is not None else ("sizes", f" Got {', '.join(sizes)}.")
            raise ProgramError(f"{path} takes no {what}: it has no `build`.{got}")
        if own is not None:
            from pyro_vae.datasets.for_programs import sizes_of

            sizes = {**sizes_of(module.build, own, str(path)), **sizes}
        vae = _built(module, path, sizes) if builds else None
        return _program(module, path, model_name or "model", vae, own=own)


def program_of_posterior(path: Path, posterior: Posterior, name: str) -> Program:
    """The program in the file at ``path``, on the data of ``posterior``, with what is known about that.

    The file's ``load`` takes the data of posteriordb. Its ``from_reference``, if it has one, takes the reference draws
    and these data, and adds draws of sites that posteriordb does not have. Raises as :func:`program_in`.
    """
    with importable(path.parent):
        module = import_file(path)
        program = _program(module, path, "model", None, told=(posterior.data,))
    complete = getattr(module, "from_reference", lambda draws, data: draws)
    draws = posterior.draws
    return replace(
        program,
        name=name,
        reference={
            "program": name,
            "parameters": _labelled(posterior.summary, program),
            "parameters_source": f"the summary of the reference draws of posteriordb: {posterior.source}",
        },
        reference_draws=None if draws is None else lambda: complete(draws(), posterior.data),
    )


def _labelled(summary: Mapping[str, Mapping[str, Any]], program: Program) -> dict[str, dict[str, float]]:
    """``{"mean": {"beta": [2]}, ...}`` as ``{"beta[a]": {"mean": ...}, "beta[b]": ...}``, with the program's labels."""
    from pyro_vae.posterior.datatree import build, scalar_parameters

    found: dict[str, dict[str, float]] = {}
    for key, arrays in summary.items():
        single = {name: array[None, None] for name, array in arrays.items()}
        tree = build({"posterior": single}, coords=dict(program.coords), dims=dict(program.dims))
        for label, value in scalar_parameters(tree).items():
            found.setdefault(label, {})[key] = float(value.item())
    return found


def _built(module: ModuleType, path: Path, sizes: Mapping[str, Any]) -> Any:
    """What the file's ``build(**sizes)`` makes: an object with a ``model`` and a ``guide``."""
    import torch

    try:
        inspect.signature(module.build).bind(**sizes)
    except TypeError as error:
        signature = inspect.signature(module.build, eval_str=False)
        raise ProgramError(f"{path}: build{signature} cannot be called with {', '.join(sizes)}: {error}.") from error
    with blaming(path, "fails in build()", f"python {path.name}"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = module.build(**sizes)
    if not (callable(getattr(vae, "model", None)) and callable(getattr(vae, "guide", None))):
        raise ProgramError(f"{path}: build() must return a pv.VAE, or what has a model and a guide, got {vae!r:.80}.")
    return vae


def _program(
    module: ModuleType, path: Path, model_name: str, vae: Any, told: tuple = (), own: Rows | None = None
) -> Program:
    from pyro_vae.datasets.for_programs import check_rows_of, data_of, rows_of

    model = _model(module, path, model_name) if vae is None else vae.model
    if own is None:
        data = _call(module, path, "load", {}, told)
    else:
        with blaming(path, "fails in from_rows()", f"python {path.name}"):
            data = data_of(module, own)
    _check_signature(path, model_name, model, data)
    if own is None:
        _check_numbers(path, data)
    else:
        check_rows_of(own, data, vae)
    known = model_name == "model" and own is None  # what is known is known of the program's own data
    baseline_model = getattr(module, "baseline_model", None) if model_name == "model" else None
    return Program(
        name=path.stem if model_name == "model" else f"{path.stem}:{model_name}",
        path=path,
        model=model,
        guides=_guides(module, path) if vae is None else {"guide": vae.guide, **_guides(module, path)},
        data=data,
        baseline_model=baseline_model,
        coords=dict(getattr(module, "coords", {})),
        dims={key: list(value) for key, value in dict(getattr(module, "dims", {})).items()},
        reference=_reference(path) if known else None,
        exact_draws=getattr(module, "exact_draws", None) if known else None,
        story=inspect.cleandoc(module.__doc__ or ""),
        vae=vae,
        rows=None if vae is None else rows_of(module, data, own),
        from_rows=None if vae is None else partial(data_of, module),
        training=dict(getattr(module, "training", {})),
    )


def _model(module: ModuleType, path: Path, name: str) -> Callable:
    model = getattr(module, name, None)
    if callable(model):
        return model
    if model is not None:
        raise ProgramError(
            f"{path}: `{name}` is a {type(model).__name__}; expected a function of the data (or a module)."
        )
    own = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not key.startswith("_")
    ]
    near = difflib.get_close_matches(name, own, n=1) or [key for key in own if "model" in key]
    hint = (
        f"If `{near[0]}` is the model, say {path.name}:{near[0]}."
        if near
        else f"Add `def {name}(...):` with pyro.sample statements."
    )
    raise ProgramError(f"{path} has no `{name}`. {hint}")


def _call(module: ModuleType, path: Path, name: str, default: dict, told: tuple = ()) -> dict[str, Any]:
    """What the file's ``name(*told)`` returns, a dict; ``default`` when the file has no such function."""
    function = getattr(module, name, None)
    if function is None:
        return default
    if not told and hasattr(module, "posteriors"):
        raise ProgramError(
            f"{path} is for posteriors of posteriordb, and needs the data of one. Name it with its database: "
            f"posteriordb:{module.posteriors[0]} --posteriordb PATH."
        )
    with blaming(path, f"fails in {name}()", f"python {path.name}"):
        value = function(*told)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ProgramError(f"{path}: {name}() must return a dict with strings for keys, got {type(value).__name__}.")
    return dict(value)


def _guides(module: ModuleType, path: Path) -> dict[str, Any]:
    """The file's own guides: ``guide`` under that name, and those of ``guides()`` under theirs."""
    guides = _call(module, path, "guides", {})
    if hasattr(module, "guide"):
        guides = {"guide": module.guide, **guides}
    wrong = [key for key, value in guides.items() if not (callable(value) or isinstance(value, str))]
    if wrong:
        raise ProgramError(
            f"{path}: guide '{wrong[0]}' is a {type(guides[wrong[0]]).__name__}; expected a function, an autoguide "
            "or an autoguide's name."
        )
    return guides


def _check_signature(path: Path, name: str, model: Callable, data: Mapping[str, Any]) -> None:
    """load() must give exactly what the model takes: said here, in those words, not as a TypeError from deep inside."""
    try:
        signature = inspect.signature(model)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**data)
    except TypeError as error:
        given = ", ".join(data) or "nothing"
        raise ProgramError(
            f"{path}: {name}{signature} cannot be called with what load() returns ({given}): {error}. "
            f"Let load() return a dict whose keys are the arguments of {name}."
        ) from error


def _check_numbers(path: Path, data: Mapping[str, Any]) -> None:
    """NaN and infinite numbers are refused at once, with the file that they came from."""
    from pyro_vae.particles.calls import call_arguments

    try:
        call_arguments(dict(data))
    except DataError as error:
        raise DataError(f"{path}, load(): {error}") from error


def _reference(path: Path) -> dict[str, Any] | None:
    """What is known exactly, from ``reference/<name>.json`` beside the program."""
    file = path.parent / "reference" / f"{path.stem}.json"
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ProgramError(f"{file}, line {error.lineno}: not JSON ({error.msg}).") from error
