"""``pyro-vae new FILE.py``: a commented program to start from, which runs as it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from pyro_vae.commands.speaking import say
from pyro_vae.errors import OutputError

TEMPLATE = Path(__file__).with_name("new_program.txt")


HELP = "write a commented model program to start from"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``new`` takes."""
    parser.add_argument("file", metavar="FILE.py", help="the file to write; one that is there is not overwritten")


def run(arguments: argparse.Namespace) -> int:
    """Write the template; a file that is there is left alone."""
    path = Path(arguments.file).expanduser()
    if path.suffix != ".py":
        raise OutputError(
            f"{path}: a model program is a Python file, so its name ends in .py. Say: pyro-vae new {path.name}.py"
        )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.read_text(encoding="utf-8"))
    except FileExistsError as error:
        raise OutputError(f"{path} is there already and was left as it is. Choose another name.") from error
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}. Choose a folder that you may write to."
        ) from error
    say(f"Wrote {path}. Make it yours, then: pyro-vae compare {path}")
    return 0
