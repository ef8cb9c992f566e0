"""The figures of a report: all of them, drawn once, quickly, and written as files."""

from __future__ import annotations

import time
from pathlib import Path

import matplotlib.image
import pytest

from pyro_vae.errors import OutputError
from pyro_vae.plots import style
from pyro_vae.report import ReportContent, all_figures, save_figures
from pyro_vae.report.figures import CAPTIONS, _plots, draw
from tests.plots.looks import assert_readable


def test_every_figure_is_drawn_once(schools: ReportContent) -> None:
    figures = all_figures(schools)
    assert list(figures) == [caption.name for caption in CAPTIONS if caption.name != "estimators"]
    assert all(figure is again for figure, again in zip(figures.values(), all_figures(schools).values(), strict=True))


def test_drawing_all_of_eight_schools_takes_seconds(schools: ReportContent) -> None:
    # About 1 s of one core; the rest is for slow machines.
    started = time.process_time()
    draw(schools, style.WIDTH)
    assert time.process_time() - started < 6


@pytest.mark.parametrize("width", [style.WIDTH, style.NARROW])
def test_figures_of_many_parameters_and_long_names_are_readable(many: ReportContent, width: float) -> None:
    for figure in draw(many, width).figures.values():
        assert_readable(figure)


def test_a_guide_that_was_not_fitted_leaves_the_others_their_colours(many: ReportContent) -> None:
    fields = {name: getattr(many, name) for name in ReportContent.__dataclass_fields__}
    kept = dict(list(many.histories.items())[1:])
    bound = _plots(ReportContent(**(fields | {"histories": kept})), style.WIDTH)["bound"]()
    assert bound.axes[0].lines[0].get_color() == style.GUIDE_COLOURS[1]


def test_what_cannot_be_drawn_says_why(bimodal: ReportContent) -> None:
    assert set(all_figures(bimodal)) == {"marginals", "forest", "weights"}
    assert set(bimodal.drawn.not_drawn) == {"pair", "bound", "predictive"}
    assert "two scalar parameters" in bimodal.drawn.not_drawn["pair"]


def test_figures_are_written_as_files(bimodal: ReportContent, tmp_path: Path) -> None:
    paths = save_figures(bimodal, tmp_path / "figures")
    assert {path.name for path in paths} == {"marginals.png", "forest.png", "weights.png"}
    for path in paths:
        assert matplotlib.image.imread(path).shape[1] == pytest.approx(150 * style.WIDTH, abs=2)


def test_a_folder_that_cannot_be_written_is_named(bimodal: ReportContent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file/figures/marginals.png.*Choose a folder"):
        save_figures(bimodal, tmp_path / "file" / "figures")
