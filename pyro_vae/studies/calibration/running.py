"""A study as it goes: what is there already, what is to do, and what there is when it ends or is interrupted."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyro_vae.diagnostics.calibration import Method
from pyro_vae.errors import ModelError
from pyro_vae.studies.calibration.fingerprint import fingerprint
from pyro_vae.studies.calibration.interruption import CalibrationInterrupted
from pyro_vae.studies.calibration.records import Records
from pyro_vae.studies.calibration.result import Calibration
from pyro_vae.studies.calibration.study import Setup
from pyro_vae.studies.calibration.workers import packed, prepared, records
from pyro_vae.studies.parameters import look_at_model
from pyro_vae.studies.record import versions
from pyro_vae.training.progress import counted

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """One study: ``title`` of the model, ``guide``'s name, and how many ``simulations`` of ``setup`` are asked for."""

    title: str
    guide: str
    method: Method
    simulations: int
    level: float
    setup: Setup

    def run(self, *, jobs: int | None, out: str | Path | None, resume: bool, progress: bool | None) -> Calibration:
        """Run what is not there yet. Raises as :func:`~pyro_vae.calibrate` says."""
        if look_at_model(self.setup.model, self.setup.data):
            raise ModelError(
                "The model learns parameters of its own (pyro.param, or a network): there is no one prior to simulate "
                "from. Make them latent sites with priors, or fixed numbers."
            )
        payload = packed(self.setup)
        kept = Records(out, self._settings(), resume=resume)
        prepared(payload)
        kept.begin()
        todo = [index for index in range(self.simulations) if index not in kept.found]
        done = self.simulations - len(todo)
        _log.info("calibrating %s: %d of %d simulations to do", self.guide, len(todo), self.simulations)
        try:
            with (
                counted(progress, self.guide) as show,
                closing(records(payload, todo, jobs)) as ready,
            ):
                show(done, self.simulations)
                for record in ready:
                    kept.add(record)
                    done += 1
                    show(done, self.simulations)
        except KeyboardInterrupt as error:
            raise CalibrationInterrupted(self._stopped(kept, out), self._result(kept)) from error
        calibration = self._result(kept)
        if len(calibration.failures) == self.simulations:
            raise ModelError(f"Every simulation failed. The first one: {calibration.failures[0]}")
        if out is not None:
            calibration.save(out)
        return calibration

    def _result(self, kept: Records) -> Calibration:
        found = kept.of(self.simulations)
        return Calibration(self.title, self.guide, self.method, self.simulations, found, kept.settings, self.level)

    def _stopped(self, kept: Records, out: Any) -> str:
        done = f"interrupted after {len(kept.of(self.simulations))} of {self.simulations} simulations of {self.guide}"
        if out is None:
            return f"{done}; without out= they are only in this error's `calibration`."
        return f"{done}, which are kept in {out}. The same call with resume=True (--resume) goes on."

    def _settings(self) -> dict[str, Any]:
        """All that the records depend on beside their number, in words and fingerprints."""
        setup, known = self.setup, versions()
        return {
            "model": f"{self.title} ({fingerprint(setup.model)})",
            "guide": self.guide if isinstance(setup.guide, str) else f"{self.guide} ({fingerprint(setup.guide)})",
            "data": fingerprint(setup.data),
            "simulate": None if setup.simulate is None else fingerprint(setup.simulate),
            "draws": setup.draws,
            "seed": setup.seed,
            **{key: _word(value) for key, value in {**setup.fit, **setup.nuts}.items()},
            "labels": fingerprint([setup.coords, setup.dims]),
            "versions": ", ".join(f"{package} {known[package]}" for package in ("pyro-vae", "torch")),
        }


def _word(value: Any) -> Any:
    plain = value is None or isinstance(value, (bool, int, float, str))
    return value if plain else f"{getattr(value, '__name__', type(value).__name__)} ({fingerprint(value)})"
