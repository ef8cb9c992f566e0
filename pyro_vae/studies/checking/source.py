"""Where a statement stands in a person's file, and how its line would read when corrected."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, TracebackType

_LIBRARIES = {"pyro", "torch", "pyro_vae", "contextlib", "functools", "abc"}


@dataclass(frozen=True)
class Where:
    """A call in a source file: ``call`` is its text, between ``before`` and ``after`` on its line or lines."""

    file: str
    row: int
    before: str = ""
    call: str = ""
    after: str = ""

    def __str__(self) -> str:
        path = Path(self.file)
        here = Path.cwd()
        shown = path.relative_to(here) if path.is_relative_to(here) else path
        return f"{shown}:{self.row}"

    @property
    def statement(self) -> str:
        """The statement as it stands."""
        return f"{self.before}{self.call}{self.after}".strip()

    def corrected(self, change: Callable[[ast.Call], None]) -> str | None:
        """The statement with its call changed, on one line; None where the source cannot be had."""
        try:
            tree = ast.parse(self.call, mode="eval")
        except SyntaxError:
            return None
        if not isinstance(tree.body, ast.Call):
            return None
        change(tree.body)
        return f"{self.before}{ast.unparse(tree)}{self.after}".strip()


def calling_statement(boundary: FrameType | None) -> Where | None:
    """The innermost call on the stack, inside ``boundary``, that is in nobody's library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not boundary:
        if not _is_library(frame):
            return _where(frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return None


def failing_statement(trace: TracebackType | None) -> Where | None:
    """The innermost call of a traceback that is in nobody's library."""
    found = None
    while trace is not None:
        if not _is_library(trace.tb_frame):
            found = _where(trace.tb_frame.f_code, trace.tb_lasti)
        trace = trace.tb_next
    return found


def definition(program: Callable) -> Where | None:
    """The line on which a program is defined."""
    code = getattr(getattr(program, "forward", program), "__code__", None)
    if code is None or code.co_filename.startswith("<"):
        return None
    line = linecache.getline(code.co_filename, code.co_firstlineno)
    return Where(code.co_filename, code.co_firstlineno, before=line.strip())


def _is_library(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _LIBRARIES


def _where(code: CodeType, instruction: int) -> Where:
    row, end, left, right = list(code.co_positions())[instruction // 2]
    lines = linecache.getlines(code.co_filename)
    if row is None or end is None or left is None or right is None or len(lines) < end:
        return Where(code.co_filename, row or code.co_firstlineno)
    first, last = lines[row - 1].encode(), lines[end - 1].encode()
    before, after = first[:left].decode(), last[right:].decode().rstrip()
    if row == end:
        return Where(code.co_filename, row, before, first[left:right].decode(), after)
    middle = "".join([first[left:].decode(), *lines[row : end - 1], last[:right].decode()])
    return Where(code.co_filename, row, before, middle, after)


def with_keyword(name: str, value: str) -> Callable[[ast.Call], None]:
    """A change: the call gets this keyword."""

    def change(call: ast.Call) -> None:
        call.keywords = [keyword for keyword in call.keywords if keyword.arg != name]
        call.keywords.append(ast.keyword(name, ast.parse(value, mode="eval").body))

    return change


def without_keyword(name: str) -> Callable[[ast.Call], None]:
    """A change: the call loses this keyword."""

    def change(call: ast.Call) -> None:
        call.keywords = [keyword for keyword in call.keywords if keyword.arg != name]

    return change


def with_argument(index: int, edit: Callable[[str], str]) -> Callable[[ast.Call], None]:
    """A change: the text of a positional argument is edited."""

    def change(call: ast.Call) -> None:
        if index < len(call.args):
            call.args[index] = ast.parse(edit(ast.unparse(call.args[index])), mode="eval").body

    return change


def with_name(name: str) -> Callable[[ast.Call], None]:
    """A change: the statement's first argument, its name."""
    return with_argument(0, lambda _: repr(name))


def with_event(dims: int) -> Callable[[ast.Call], None]:
    """A change: the distribution gets ``.to_event(dims)``."""
    return with_argument(1, lambda fn: f"{fn}.to_event({dims})")
