"""The examination of a VAE in the terminal: a table of numbers, then each finding in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyro_vae.report.terminal import WIDTH, plain_text
from pyro_vae.report.vae_content import VAEContent
from pyro_vae.report.vae_html import LEVELS, numbers

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"trusted": "bold green", "reweight": "bold yellow", "untrusted": "bold red", "none": "bold"}


def print_vae_report(content: VAEContent, console: Console | None = None) -> None:
    """Print the numbers and the findings, at most 80 columns wide.

    In colour on a terminal, plain text elsewhere, ASCII where the encoding has no more.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console() if console is None else console
    width = min(console.width, WIDTH)
    ascii_only = not console.encoding.lower().startswith("utf")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for name, value, meaning in numbers(content):
        cells = ((name, ""), (value, "bold"), (meaning, "dim"))
        table.add_row(*(plain_text(cell, look, ascii_only) for cell, look in cells))
    console.print(plain_text(f"Nats per row, from {content.rows} rows:", "dim", ascii_only), width=width)
    console.print(table, width=width)
    for found in content.findings:
        line = plain_text(f"\n{found.about[0].upper()}{found.about[1:]}: ", "bold", ascii_only)
        line.append(plain_text(LEVELS[found.level][1], _STYLES[found.level], ascii_only))
        said = " ".join(part for part in (found.reason, found.advice) if part)
        console.print(line.append(plain_text(f". {said}", "", ascii_only)), width=width)
