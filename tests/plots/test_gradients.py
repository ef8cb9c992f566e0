"""The figure of a study of gradients shows each estimator where its numbers are."""

from __future__ import annotations

import pytest

from pyro_vae.plots import plot_gradients
from tests.plots.looks import texts
from tests.plots.test_every_figure import GRADIENTS
from tests.plots.trees import gradient_noise


def markers(figure, panel: int) -> list[tuple[float, str]]:
    return [
        (float(line.get_xdata()[0]), str(line.get_marker()))
        for line in figure.axes[panel].lines
        if line.get_marker() not in ("None", None, "")
    ]


def test_every_finding_has_a_marker_in_both_panels() -> None:
    figure = plot_gradients(GRADIENTS)
    assert figure.axes[0].get_xlabel() == "variance of one gradient"
    assert figure.axes[1].get_xlabel() == "variance × seconds"
    shown = markers(figure, 0)
    assert len(shown) == len(markers(figure, 1)) == len(GRADIENTS)
    assert [x for x, marker in shown if marker == "o"] == pytest.approx([40.0, 9e5, 3.0, 5.0, 5.0])
    assert [x for x, marker in markers(figure, 1) if marker == "D"] == pytest.approx([0.04, 900.0, 3e-3, 5e-3, 5e-3])


def test_no_noise_is_a_triangle_at_the_edge() -> None:
    figure = plot_gradients(GRADIENTS)
    silent = [x for x, marker in markers(figure, 0) if marker == "<"]
    assert len(silent) == 2
    assert max(silent) < 3.0
    assert min(silent) > figure.axes[0].get_xlim()[0]


def test_rows_are_grouped_by_objective_and_what_is_biased_is_marked() -> None:
    said = [text for text, _ in texts(plot_gradients(GRADIENTS))]
    assert {"ELBO", "IWAE (K=16)", "CUBO 2 (K=16)", "at the start", "at the fit", "cubo*"} <= set(said)
    assert any(text.startswith("of my own") and text.endswith("(biased)") for text in said)
    assert any("biased by design" in text and "one objective" in text for text in said)
    one = [gradient_noise("a", "fit", "ELBO", 1.0, "no"), gradient_noise("b", "fit", "ELBO", 2.0, "no")]
    assert not {"ELBO", "at the start"} & {text for text, _ in texts(plot_gradients(one))}
