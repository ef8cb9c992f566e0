"""The terminal's tables of a study of gradients: 80 columns, one objective under another, every reason said."""

from __future__ import annotations

import io

from rich.console import Console

from pyro_vae.report import print_gradients
from tests.diagnostics.test_gradient_noise import finding

ROWS = [
    finding("score-function:moving-average", 123456.0, place="start"),
    finding("score-function:moving-average", 1.0),
    finding("reparameterized", 0.5),
    finding("cubo", 2.0, objective="CUBO 2 (K=16)", biased="by design"),
    finding("a", 2.0, objective="IWAE (K=16)", biased="unknown", evaluations=float("nan")),
]


def printed(ascii_only: bool = False) -> str:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii" if ascii_only else "utf-8")
    left_out = {
        "dreg": "DReG needs reparameterised sites, but 'b' (Bernoulli) has no `rsample` (it is discrete). Use X."
    }
    print_gradients(ROWS, {"guide": ("loc", "scale")}, left_out, "ELBO: one ± two.", Console(file=stream, width=200))
    stream.flush()
    return buffer.getvalue().decode(stream.encoding)


def test_each_place_has_its_table_and_each_objective_its_lines() -> None:
    said = printed()
    assert max(map(len, said.splitlines())) <= 80
    lines = [line.split() for line in said.splitlines()]
    assert "At the fit, the guide's gradient (2 numbers; K = 16)" in said
    assert ["score-function:moving-average", "1.2e5", "0", "none", "1", "16", "1.2e5"] in lines
    assert said.index("- ELBO") < said.index("reparameterized") < said.index("- alone in their objective")
    assert ["cubo", "2", "0", "by", "design", "1", "16", "2"] in lines
    assert ["a", "2", "0", "?", "1", "2"] in lines  # without data the model's evaluations are not counted


def test_reasons_and_recommendation_are_said_and_ascii_is_enough() -> None:
    said = " ".join(printed(ascii_only=True).split())
    assert "Left out: dreg. DReG needs reparameterised sites, but 'b' (Bernoulli) has no" in said
    assert "Use X" not in said
    assert said.endswith("ELBO: one +- two.")
