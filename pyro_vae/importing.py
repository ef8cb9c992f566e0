"""A Python file imported by its path; what goes wrong in it is said with its name and line."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from pyro_vae.errors import ProgramError, PyroVaeError


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """A program may import its neighbours, as it can when it is run as a script."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def import_file(path: Path) -> ModuleType:
    """The file as a module; raises :class:`~pyro_vae.errors.ProgramError` naming file and line."""
    name = f"pyro_vae_program_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProgramError(f"{path} is not a Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling in the file look themselves up here
    with blaming(path, "does not import", f"python {path.name}"):
        spec.loader.exec_module(module)
    return module


@contextmanager
def blaming(path: Path, what: str, hint: str) -> Iterator[None]:
    """Turn whatever a person's own code raises into an error that names the file and the line."""
    try:
        yield
    except PyroVaeError:
        raise
    except SyntaxError as error:
        where = Path(error.filename).name if error.filename else path.name
        raise ProgramError(f"{path} {what}: {where}, line {error.lineno}: {error.msg}.") from error
    except (Exception, SystemExit) as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).resolve() == path]
        line = f", line {frames[-1].lineno}: `{frames[-1].line}`" if frames else ""
        raise ProgramError(f"{path} {what}{line}: {type(error).__name__}: {error}. The whole story: {hint}") from error


def defines(path: Path, name: str) -> bool:
    """Whether a file defines or imports a function of that name; the file is read and not run."""
    with blaming(path, "does not import", f"python {path.name}"):
        body = ast.parse(path.read_text(encoding="utf-8"), str(path)).body
    found = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    found |= {alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    return name in found
