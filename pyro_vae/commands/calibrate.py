"""``pyro-vae calibrate``: guides and NUTS on data that the model itself makes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyro_vae.commands import arguments as shared
from pyro_vae.commands.speaking import say, saying

if TYPE_CHECKING:
    from pyro_vae.catalogue import Program
    from pyro_vae.studies import Calibration

HELP = "simulate data from the model, and see whether guides and NUTS find what made them"
MORE = "Prints a verdict and writes a folder for each: table, picture, and every simulation."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``calibrate`` takes."""
    shared.program(parser)
    parser.add_argument("--nuts", action="store_true", help="calibrate NUTS too; alone where there is no --guide")
    parser.add_argument(
        "--simulations", type=shared.count, default=200, metavar="N", help="data sets that are drawn and fitted (200)"
    )
    parser.add_argument(
        "--method",
        choices=("sbc", "vsbc"),
        help="sbc: uniform ranks (default for NUTS); vsbc: no bias (default for guides)",
    )
    shared.fitting(parser, several=True, several_estimators=False)
    shared.sampling(parser, chains=1)
    parser.add_argument("--jobs", type=_jobs, metavar="N", help="processes (1); -1 for as many as there are cores")
    parser.add_argument("--out", metavar="DIR", help="the folder for the study (NAME-calibration)")
    parser.add_argument("--resume", action="store_true", help="go on with the study in that folder")
    parser.add_argument("--fail", action="store_true", help="exit with 1 if one of them is not calibrated")
    shared.running(parser)


def run(arguments: argparse.Namespace) -> int:
    """Calibrate each, print its table and verdict, say where the folder is; 1 with ``--fail`` if one is not right."""
    from pyro_vae.catalogue import load_program

    program = load_program(arguments.program)

    from pyro_vae.studies.folder import file_names
    from pyro_vae.studies.inputs import guides_of

    guides: dict[str, Any] = {}
    if arguments.guide is not None or not arguments.nuts:
        guides |= guides_of(shared.names(arguments.guide) or None, program)
    if arguments.nuts:
        guides["nuts"] = "nuts"
    out = Path(arguments.out or f"{program.name.replace(':', '-')}-calibration").expanduser()
    _check(out, list(file_names(guides).values()), arguments.resume)
    right = True
    for name, folder in file_names(guides).items():
        found = _calibrated(arguments, program, guides[name], out / folder)
        _show(found, out / folder)
        right = right and found.calibrated
    return int(arguments.fail and not right)


def _check(out: Path, folders: list[str], resume: bool) -> None:
    """Every folder can be used, before the first study of many minutes. A study that has no folder yet is begun."""
    from pyro_vae.errors import OutputError
    from pyro_vae.studies.calibration.records import SETTINGS
    from pyro_vae.studies.folder import check_folder

    for folder in (out / name for name in folders):
        if not (folder / SETTINGS).is_file():
            check_folder(folder)
        elif not resume:
            raise OutputError(
                f"{folder} holds a calibration study already. --resume goes on with it; or choose another folder with "
                "--out."
            )


def _calibrated(arguments: argparse.Namespace, program: Program, guide: Any, folder: Path) -> Calibration:
    from pyro_vae.studies import calibrate

    with saying(arguments.quiet):
        return calibrate(
            program,
            guide,
            simulations=arguments.simulations,
            method=arguments.method,
            draws=arguments.draws,
            estimator=arguments.estimator,
            num_particles=arguments.particles,
            steps=arguments.steps,
            learning_rate=arguments.learning_rate,
            restarts=arguments.restarts,
            engine=arguments.engine,
            chains=arguments.chains,
            warmup=arguments.warmup,
            target_accept=arguments.target_accept,
            seed=arguments.seed,
            jobs=arguments.jobs,
            out=folder,
            resume=arguments.resume,
            progress=False if arguments.quiet else None,
        )


def _show(found: Calibration, folder: Path) -> None:
    from pyro_vae.report.calibration import print_calibration

    table = found.summary() if len(found.good) > 1 else None
    print_calibration(found.guide, table, found.finding.faulty, found.verdict)
    say(f"Table, picture and simulations: {folder}\n\n")


def _jobs(text: str) -> int:
    if text != "-1" and (not text.isdigit() or int(text) < 1):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, or -1 for all cores, got {text!r}")
    return int(text)
