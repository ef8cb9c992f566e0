"""``pyro-vae``: the command line. It parses and reports errors; what a command takes and does is in ``commands/``.

Nothing heavy is imported before a command needs it: ``pyro-vae --help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pyro_vae
from pyro_vae.commands import COMMANDS, INTERRUPTED, WRONG
from pyro_vae.errors import PyroVaeError

WIDTH = 80


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 (a verdict, or what check found), 2 (an error), 130 (Ctrl-C)."""
    arguments = parser().parse_args(argv)
    # torch's threads wait for work by spinning; where the cores are shared, that makes small fits many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    command = import_module(f"pyro_vae.commands.{arguments.command}")
    with warnings.catch_warnings():
        _say_warnings_plainly()
        try:
            return command.run(arguments)
        except PyroVaeError as error:
            _tell(f"pyro-vae: {error}")
            return WRONG
        except KeyboardInterrupt as stop:
            _tell(f"pyro-vae: {stop or 'interrupted; nothing was written.'}")
            return INTERRUPTED
        except BrokenPipeError:  # `pyro-vae list | head`: the reader has left, which is not an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


def parser() -> argparse.ArgumentParser:
    """The whole command line, as argparse knows it."""
    top = argparse.ArgumentParser(
        prog="pyro-vae",
        description="Fit a Pyro model by variational inference, sample it with NUTS, and hear whether to trust it.",
        epilog="pyro-vae COMMAND --help says more. "
        "Exit codes: 0; 1, a verdict at or below --fail-on, or errors that check found; 2, an error; 130, Ctrl-C.",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"pyro-vae {pyro_vae.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = import_module(f"pyro_vae.commands.{name}")
        about = f"{module.HELP[0].upper()}{module.HELP[1:]}. {getattr(module, 'MORE', '')}".strip()
        module.add_arguments(
            commands.add_parser(
                name, help=module.HELP, description=about, formatter_class=_Formatter, allow_abbrev=False
            )
        )
    return top


class _Formatter(argparse.HelpFormatter):
    """Help at 80 columns, or fewer on a narrow terminal."""

    def __init__(self, prog: str, **options: Any):
        super().__init__(prog, width=min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns), **options)


def _tell(message: str) -> None:
    """A message to standard error, its lines folded at 80 columns; paths and code are not cut."""
    for line in message.splitlines():
        print(textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False), file=sys.stderr)  # noqa: T201


def _say_warnings_plainly() -> None:
    """A warning on the command line is a note, without the line of code that raised it."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.showwarning = lambda message, *_, **__: _tell(f"note: {message}")


if __name__ == "__main__":
    sys.exit(main())
