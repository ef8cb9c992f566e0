"""The palette reads without colour, and labels are shortened where they must be."""

from __future__ import annotations

import pytest
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from pyro_vae.plots import style


def lightness(colour: str) -> float:
    """CIE L* of a colour, 0 (black) to 100 (white): what is left of it on a grey print."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def contrast(one: str, two: str) -> float:
    """The contrast ratio of WCAG 2."""
    first, second = sorted(((lightness(colour) + 16) / 116) ** 3 for colour in (one, two))
    return (second + 0.05) / (first + 0.05)


def test_the_first_guides_differ_in_lightness() -> None:
    first, second, third = (lightness(colour) for colour in style.GUIDE_COLOURS[:3])
    assert second - first > 15
    assert abs(third - second) > 3
    assert lightness(style.BASELINE_FILL) - max(map(lightness, style.GUIDE_COLOURS)) > 15


def test_every_guide_has_its_own_line_and_marker() -> None:
    looks = style.sources(f"guide {i}" for i in range(6))
    assert len({str(look.line) for look in looks.values()}) == 6
    assert len({look.marker for look in looks.values()}) == 6
    assert len({look.colour for look in looks.values()}) == 6


def test_more_guides_than_colours_still_get_a_look() -> None:
    assert len(style.sources(f"guide {i}" for i in range(20))) == 20


@pytest.mark.parametrize("colour", style.GUIDE_COLOURS)
def test_guides_stand_out_on_light_and_on_dark_pages(colour: str) -> None:
    assert contrast(colour, style.PAPER) > 2.5
    assert contrast(style.DARK[colour], style.DARK[style.PAPER]) > 4.5


@pytest.mark.parametrize("colour", [style.INK, style.MUTED])
def test_text_is_readable_on_light_and_on_dark_pages(colour: str) -> None:
    assert contrast(colour, style.PAPER) > 4.5
    assert contrast(style.DARK[colour], style.DARK[style.PAPER]) > 4.5


def test_no_colour_is_part_of_another_ones_dark_value() -> None:
    # The report replaces the strings of the light colours; a dark value must not be replaced again.
    assert not set(style.DARK) & set(style.DARK.values())


def test_a_legend_breaks_into_rows_when_it_is_too_long() -> None:
    def columns(label: str) -> int:
        figure = style.new_figure(2.0, style.WIDTH)
        style.legend(figure, [Line2D([], [], label=label) for _ in range(4)])
        return figure.legends[0]._ncols

    assert columns("short") == 4
    assert columns("a name of some thirty characters") == 2


def test_a_dollar_sign_in_a_name_is_no_mathematics() -> None:
    figure = style.new_figure(2.0, style.WIDTH)
    text = figure.text(0, 0, style.plain("price[$, $$]"))
    assert text.get_text() == r"price[\$, \$\$]"
    assert style.shorten("abcdefghij", 5) == "ab…ij"
