"""``pyro-vae fit``: one guide, fitted."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from pyro_vae.commands.files import check_file
from pyro_vae.commands.progress import saying
from pyro_vae.commands.tables import print_parameters


def run(arguments: argparse.Namespace) -> int:
    """Fit, print the posterior, write what was asked for."""
    for path in (arguments.out, arguments.save):
        if path is not None:
            check_file(path)
    from pyro_vae.catalogue import load_program

    program = load_program(arguments.program)

    from pyro_vae.posterior.datatree import save
    from pyro_vae.studies.inputs import guides_of
    from pyro_vae.studies.parameters import look_at_model
    from pyro_vae.training import FitInterrupted, fit

    default = next(iter(program.guides), "auto_normal")
    [(name, guide)] = guides_of([arguments.guide or default], program).items()
    said = {
        "estimator": arguments.estimator,
        "num_particles": arguments.particles,
        "steps": arguments.steps,
        "learning_rate": arguments.learning_rate,
        "restarts": arguments.restarts,
    }
    look_at_model(program.model, program.data)
    try:
        with saying(arguments.quiet):
            logging.getLogger(__name__).info("fitting %s", name)
            result = fit(
                program.model,
                guide,
                program.data,
                seed=arguments.seed,
                progress=False if arguments.quiet else None,
                **{key: value for key, value in said.items() if value is not None},
            )
    except FitInterrupted as stop:
        path = stop.fit.save(
            arguments.save or Path(f"{program.path.stem if program.path else 'fit'}-interrupted.safetensors")
        )
        raise KeyboardInterrupt(
            f"interrupted at step {stop.fit.steps}, bound {stop.fit.bound:.2f}. "
            f"The fit so far is kept in {path} (pv.load_fit reads it)."
        ) from stop
    tree = result.posterior(
        draws=arguments.draws, seed=arguments.seed + 1, coords=dict(program.coords), dims=dict(program.dims)
    )
    _say(f"{name} fitted to {program.name} with {result.estimator!r}, {result.num_particles} particles")
    _say(f"{result.reason} ({result.seconds:.1f} s)")
    _say(f"bound {result.bound:.3f} ± {result.bound_se:.3f} nats")
    print_parameters(tree, chains=False)
    if arguments.save is not None:
        _say(f"The fit: {result.save(arguments.save)}")
    if arguments.out is not None:
        _say(f"The draws: {save(tree, arguments.out)}")
    return 0


def _say(text: str) -> None:
    print(text)  # noqa: T201
