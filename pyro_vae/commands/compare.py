"""``pyro-vae compare``: the report on a program's guides."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pyro_vae.commands import arguments as shared
from pyro_vae.commands.alongside import nuts_alongside
from pyro_vae.commands.speaking import say, saying

if TYPE_CHECKING:
    from pyro_vae.studies import Comparison, ComparisonInterrupted

WORST_LAST = ("trusted", "reweight", "untrusted", "none")


HELP = "fit guides, sample with NUTS, and judge each guide"
MORE = "Prints the verdicts and writes a folder: report.html, figures, draws (netCDF), summary.csv."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``compare`` takes."""
    shared.program(parser)
    shared.fitting(parser, several=True)
    shared.sampling(parser)
    parser.add_argument(
        "--baseline",
        metavar="WHAT",
        help="nuts; reference (the program's exact or reference draws, the default if it has any); importance (no "
        "baseline: the guides' importance weights); or a netCDF file of draws",
    )
    parser.add_argument("--guide-draws", type=shared.count, default=10_000, metavar="N", help="draws per guide (10000)")
    parser.add_argument("--out", metavar="DIR", help="the folder for the report (NAME-report)")
    parser.add_argument(
        "--fail-on",
        choices=WORST_LAST[1:],
        help="exit with 1 if a verdict is this or worse: trusted, reweight, untrusted, none",
    )
    shared.running(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare, print, write; 1 if a verdict is at or below ``--fail-on``."""
    from pyro_vae.catalogue import builds_vae, load_program, refuse_nuts
    from pyro_vae.studies.folder import check_folder

    if arguments.out is not None:  # before torch is imported, and long before the work
        check_folder(arguments.out)
    if arguments.baseline in (None, "nuts") and builds_vae(arguments.program):
        refuse_nuts(arguments.program)
    program = load_program(arguments.program, posteriordb=arguments.posteriordb)
    out = check_folder(arguments.out or f"{program.name.replace(':', '-')}-report")

    from pyro_vae.studies import ComparisonInterrupted, compare

    estimators = shared.names(arguments.estimator)
    # The times of estimators are a result. With NUTS beside them, they would be those of who shared the machine.
    alongside = nullcontext(arguments.baseline) if len(estimators) > 1 else nuts_alongside(program, arguments)
    try:
        with saying(arguments.quiet), alongside as baseline:
            comparison = compare(
                program,
                guides=shared.names(arguments.guide) or None,
                baseline=baseline,
                estimator=estimators if len(estimators) > 1 else arguments.estimator,
                num_particles=arguments.particles,
                steps=arguments.steps,
                learning_rate=arguments.learning_rate,
                restarts=arguments.restarts,
                guide_draws=arguments.guide_draws,
                engine=arguments.engine,
                chains=arguments.chains,
                draws=arguments.draws,
                warmup=arguments.warmup,
                target_accept=arguments.target_accept,
                seed=arguments.seed,
                progress=False if arguments.quiet else None,
            )
    except ComparisonInterrupted as stop:
        raise KeyboardInterrupt(_kept(stop, out)) from stop
    _show(comparison, out)
    return int(_failed(comparison, arguments.fail_on))


def _show(comparison: Comparison, out: Path) -> None:
    from pyro_vae.report import print_report

    print_report(comparison.content())
    comparison.save(out)
    say(f"\nThe report: {out / 'report.html'}\nFigures, draws and tables: {out}")


def _failed(comparison: Comparison, fail_on: str | None) -> bool:
    if fail_on is None:
        return False
    return any(WORST_LAST.index(verdict.level) >= WORST_LAST.index(fail_on) for verdict in comparison.verdicts.values())


def _kept(stop: ComparisonInterrupted, out: Path) -> str:
    """Write the fits so far, and say where they are."""
    from pyro_vae.studies.folder import file_names

    if not stop.fits:
        return "interrupted before the first fit; nothing was written."
    folder = out.with_name(f"{out.name}-interrupted")
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["interrupted. No report was written; the fits so far are kept (pv.load_fit reads them):"]
    for name, file in file_names(stop.fits).items():
        fit = stop.fits[name]
        path = fit.save(folder / f"{file}.safetensors")
        lines.append(f"  {path}: {fit.steps} steps, bound {fit.bound:.2f}")
    return "\n".join(lines)
