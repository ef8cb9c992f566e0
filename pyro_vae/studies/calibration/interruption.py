"""Ctrl-C during a calibration study: what was simulated by then is kept."""

from __future__ import annotations

from pyro_vae.studies.calibration.result import Calibration


class CalibrationInterrupted(KeyboardInterrupt):
    """Ctrl-C during a study. ``calibration`` holds the simulations so far, which are in its folder too, if it has one.

    It is a ``KeyboardInterrupt``: a program that does not ask for it ends, as Ctrl-C says.
    """

    def __init__(self, message: str, calibration: Calibration):
        super().__init__(message)
        self.calibration = calibration
