"""The bar: silent when nobody watches, with the smoothed bound and the time left when somebody does."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from pyro_vae.training.progress import Smoother, progress_bar, smoothed


class Terminal(io.StringIO):
    def isatty(self):
        return True


ROWS = [(float(-100 + step), 1.0, 0.05, 0.1 * step) for step in range(60)]


def test_silent_when_not_a_terminal(capsys):
    with progress_bar(None, "auto_normal") as bar:
        bar.show(ROWS, 100, "searching")
    assert capsys.readouterr() == ("", "")


def test_silent_when_told_so(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(False, "auto_normal") as bar:
        bar.show(ROWS, 100, "searching")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("wanted", [None, True])
def test_shows_bound_steps_and_phase_on_a_terminal(monkeypatch, wanted):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(wanted, "auto_normal") as bar:
        bar.show(ROWS, 100, "searching")
    text = terminal.getvalue()
    for word in ("auto_normal", "60/100", "searching", f"bound {smoothed([row[0] for row in ROWS])[-1]:.2f}"):
        assert word in text


def test_smoother_reads_a_growing_history():
    smoother = Smoother()
    smoother.read(ROWS[:7])
    assert smoother.read(ROWS) == pytest.approx(smoothed([row[0] for row in ROWS])[-1])
    assert np.isnan(Smoother().read([]))


def test_smoothed_starts_without_bias():
    assert smoothed([-5.0]).tolist() == [-5.0]
    assert smoothed(np.full(200, -5.0))[-1] == pytest.approx(-5.0)
