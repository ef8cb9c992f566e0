"""Measure, and write JSON, a Markdown table and pictures: see ``--help``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from pyro_vae.plots import style
from tests.benchmarks import figures
from tests.benchmarks.machine import machine
from tests.benchmarks.row import Result
from tests.benchmarks.setting import Setting
from tests.benchmarks.table import markdown

NAMES = ("step_times", "whole_fits", "vaes", "nuts_chains", "growth", "import_times")


def main() -> None:
    """Run what was asked for; each benchmark's result is written as soon as it is there."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in () if options.draw else options.only or NAMES:
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
            setting = Setting(options.quick, Path(folder), lambda said, name=name: _say(f"{name}: {said}"))
            where = machine()
            result = import_module(f"tests.benchmarks.{name}").run(setting)
        write(replace(result, machine=where, quick=options.quick), options.out)
    draw(read(options.out), options.out)
    _say(f"written to {options.out}", end="\n")


def write(result: Result, out: Path) -> None:
    """Write a result beside those of other runs, and the table of them all."""
    text = json.dumps(result.tree(), indent=1, ensure_ascii=False)
    (out / f"{result.name}.json").write_text(text + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown(read(out)), encoding="utf-8")


def draw(results: list[Result], out: Path) -> None:
    """Write the table and the pictures."""
    (out / "table.md").write_text(markdown(results), encoding="utf-8")
    style.save(figures.overview(results), out / "overview.png", "png")
    for found in results:
        if found.name == "growth":
            style.save(figures.growth(found), out / "growth.png", "png")


def read(out: Path) -> list[Result]:
    """The results in a folder, in the order of the benchmarks."""
    paths = [out / f"{name}.json" for name in NAMES]
    return [Result.from_tree(json.loads(path.read_text(encoding="utf-8"))) for path in paths if path.exists()]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="How long things take in pyro-vae and in others, measured in turn. All of it takes about an hour.",
    )
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures mean nothing")
    parser.add_argument("--draw", action="store_true", help="measure nothing: table and pictures of what is in FOLDER")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), metavar="FOLDER")
    return parser.parse_args()


def _say(said: str, end: str = "") -> None:
    """One line that changes, on a terminal; else one line each."""
    terminal = sys.stderr.isatty()
    sys.stderr.write(f"\r\033[K{said}{end}" if terminal else f"{said}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
