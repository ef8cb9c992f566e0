"""A name or a path -> a model program: the catalogue's and a person's own travel the same route.

A program is a Python file with a docstring and a ``model``, or a ``build`` that makes a VAE; see :class:`Program` for
all that it may have.
"""

from __future__ import annotations

import ast
import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_vae.errors import ProgramError
from pyro_vae.importing import defines
from pyro_vae.program_file import Program as Program
from pyro_vae.program_file import program_in, program_of_posterior

if TYPE_CHECKING:
    from pyro_vae.datasets import Rows

POSTERIORDB = "posteriordb"

_WITH_MODEL = re.compile(r"(?P<source>.+?)(?::(?P<model>[A-Za-z_]\w*))?")


def catalogue_folder() -> Path:
    """Where the catalogue's programs lie: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside, beside = package / "_models", package.parent / "models"
    return inside if inside.is_dir() else beside


def catalogue() -> dict[str, str]:
    """The programs of the catalogue and the first line of each one's story. Nothing is imported for it.

    >>> catalogue()["bimodal"][:29]
    'Two well-separated modes: wha'
    """
    found = {}
    for path in sorted(catalogue_folder().glob("*.py")):
        story = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem] = story.partition("\n")[0]
    return found


def posterior_programs() -> dict[str, Path]:
    """The posteriors of posteriordb that there is a program for, and its file. Nothing is imported for it.

    >>> posterior_programs()["arK-arK"].name
    'arK.py'
    """
    files = sorted((catalogue_folder() / POSTERIORDB).glob("[!_]*.py"))
    return dict(sorted((name, path) for path in files for name in _posteriors(path)))


def _posteriors(path: Path) -> tuple[str, ...]:
    """The file's ``posteriors``."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(getattr(to, "id", None) == "posteriors" for to in node.targets):
            return tuple(ast.literal_eval(node.value))
    raise ProgramError(f"{path} has no `posteriors`: name those of posteriordb that it is for, in a tuple.")


def builds_vae(source: str | Path) -> bool:
    """Whether a program has a ``build``: its file is looked at, and not run. Raises as :func:`load_program`.

    >>> builds_vae("vae_digits"), builds_vae("eight_schools")
    (True, False)
    """
    match = None if str(source).startswith(f"{POSTERIORDB}:") else _WITH_MODEL.fullmatch(str(source))
    return match is not None and match["model"] is None and defines(_locate(match["source"]), "build")


def refuse_nuts(name: str | Path) -> None:
    """Raise the error that keeps NUTS from a program that builds a VAE; it says what to use."""
    raise ProgramError(
        f"{name} builds a VAE, of which NUTS would sample the latents of all rows at once: train it (pyro-vae fit "
        f"{name} --out run) and judge what came of it with pyro-vae report run/ instead."
    )


def load_program(
    source: str | Path,
    *,
    data: Rows | str | Path | None = None,
    posteriordb: str | os.PathLike | None = None,
    **sizes: Any,
) -> Program:
    """The program of that name in the catalogue, or in that file; ``file.py:other`` takes ``other`` for the model.

    ``posteriordb:NAME`` is that posterior of posteriordb, with its data and reference draws; ``posteriordb`` is the
    path of a clone of it, by default what the environment variable ``POSTERIORDB`` says.

    ``sizes`` are the arguments of a VAE program's ``build``. It is built from seed 0, and torch's generator stays as it
    was. ``data`` are rows of a person's own for it, as :func:`~pyro_vae.load_data` reads them, or their path: they take
    the place of what the file's ``load()`` returns, and decide the sizes ``features``, ``shape``, ``vocabulary`` and
    ``max_length`` of ``build``.

    Raises :class:`~pyro_vae.errors.ProgramError` naming the file (and its line, where a line is at fault), or the
    nearest names when there is no such program; :class:`~pyro_vae.errors.OptionError` where posteriordb is not found,
    and :class:`~pyro_vae.errors.OutputError` naming a file of it that is damaged;
    :class:`~pyro_vae.errors.DataError` naming the row of ``data`` that the VAE cannot take.

    >>> program = load_program("eight_schools")
    >>> program.data["y"].shape, program.dims["theta"]
    (torch.Size([8]), ['school'])
    >>> load_program("vae_digits", net="conv", latents=3).vae.latent
    Gaussian()
    """
    kind, _, name = str(source).partition(":")
    if kind == POSTERIORDB:
        if sizes or data is not None:
            got = f"sizes: it is no VAE. Got {', '.join(sizes)}." if sizes else "data but its own: it is no VAE."
            raise ProgramError(f"{source} takes no {got}")
        return _of_posterior(name, posteriordb)
    match = _WITH_MODEL.fullmatch(str(source))
    if match is None:
        raise ProgramError("A program needs a name from the catalogue or the path of a Python file, got an empty name.")
    path = _locate(match["source"])
    if isinstance(data, (str, Path)):
        from pyro_vae.datasets import load_data

        data = load_data(data)
    return program_in(path, match["model"], sizes, data)


def _of_posterior(name: str, database: str | os.PathLike | None) -> Program:
    """The program for a posterior of posteriordb: by the posterior's name, or by that of its model."""
    from pyro_vae.posteriordb import open_database

    if not name:
        raise ProgramError(f"Say which posterior of posteriordb: {POSTERIORDB}:NAME. pyro-vae list shows the names.")
    opened, known = open_database(database), posterior_programs()
    name, model_name = opened.model_of(name)
    path = known.get(name, catalogue_folder() / POSTERIORDB / f"{model_name}.py")
    if not path.is_file():
        raise ProgramError(
            f"{name} is in posteriordb, but there is no Pyro program for its model {model_name} yet. "
            "pyro-vae list shows the posteriors that have one."
        )
    return program_of_posterior(path, opened.posterior(name), f"{POSTERIORDB}:{name}")


def _locate(source: str) -> Path:
    """The file of a name or a path."""
    if not (source.endswith(".py") or "/" in source or "\\" in source):
        path = catalogue_folder() / f"{source}.py"
        if path.is_file():
            return path
        names = list(catalogue())
        near = difflib.get_close_matches(source, names, n=3, cutoff=0.4)
        hint = f"Nearest: {', '.join(near)}." if near else f"There are: {', '.join(names)}."
        hint += " A file of your own is given by its path, mine.py."
        raise ProgramError(f"No program called '{source}' in the catalogue. {hint}")
    path = Path(source).expanduser()
    if path.is_dir():
        raise ProgramError(f"{path} is a folder: give the path of the Python file with the model in it.")
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [file.name for file in path.parent.glob("*.py")], n=3)
        hint = f"Nearest in its folder: {', '.join(near)}." if near else f"Write one with: pyro-vae new {path}"
        raise ProgramError(f"{path}: there is no such file. {hint}")
    return path.resolve()
