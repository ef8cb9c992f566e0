"""The report on a VAE: whole, self-contained, escaped, and saying everything that was found, in a page and in words."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pyro_vae.errors import OutputError
from pyro_vae.plots import style
from pyro_vae.report import VAEContent, print_vae_report, save_figures, write_vae_html
from pyro_vae.report.vae_figures import VAE_CAPTIONS
from pyro_vae.report.vae_html import numbers, render_vae
from tests.report.test_html import Page


@pytest.fixture(scope="module")
def page(autoencoder: VAEContent) -> str:
    return render_vae(autoencoder)


@pytest.fixture(scope="module")
def lost(collapsed: VAEContent) -> str:
    return render_vae(collapsed)


@pytest.mark.parametrize("which", ["page", "lost"])
def test_the_page_is_well_formed_and_asks_for_nothing(which: str, request: pytest.FixtureRequest) -> None:
    text: str = request.getfixturevalue(which)
    found = Page(text)
    assert len(found.ids) == len(set(found.ids))
    assert {target.removeprefix("#") for target in found.targets if target.startswith("#")} <= set(found.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(found.ids)
    assert all(target.startswith(("#", "data:")) for target in found.targets)
    assert "<script" not in text
    body = text.split("</style>")[1]
    assert not [colour for colour in style.DARK if colour in body]
    assert len(text.encode()) < 2_500_000


def test_every_finding_number_latent_and_figure_is_there(autoencoder: VAEContent, page: str) -> None:
    text = Page(page).text
    for finding in autoencoder.findings:
        assert finding.reason in text
        assert finding.advice in text
    for name, value, meaning in numbers(autoencoder):
        assert name in text
        assert value in text
        assert meaning in text
    for name in autoencoder.table.index:
        assert name in text
    for caption in VAE_CAPTIONS:
        assert caption.title in text
        assert f'aria-label="{caption.title}"' in page
    assert text.count("▼ not used") == autoencoder.table["collapsed"].sum() == 2
    assert f"active units{autoencoder.units.count} of 9" in text
    assert "good" in text
    assert "not judged" in text


def test_rows_judged_on_nuts_have_their_verdict_and_their_evidence(page: str) -> None:
    text = Page(page).text
    assert "Row 4 ✓ trusted" in text.replace("✓trusted", "✓ trusted")
    assert "Row 11 ✕ untrusted" in text.replace("✕untrusted", "✕ untrusted")
    assert "✓ agree" in text
    assert "difference −1.000 ✕ do not agree" in text


def test_what_a_person_wrote_is_escaped(page: str, lost: str) -> None:
    assert "&lt;i&gt;&amp; more&lt;/i&gt;" in page
    assert "<b>bold" not in page
    assert "the &lt;cook&gt; stirs" in lost


def test_collapse_is_said_in_words_and_sentences_are_tables(collapsed: VAEContent, lost: str) -> None:
    text = Page(lost).text
    assert "Posterior collapse: the latents carry 0.001 nats per row in all" in text
    assert "free bits (fit(free_bits=...))" in text
    assert "No row was judged: its latents are discrete, and NUTS needs a gradient." in text
    assert "KLs are means over draws" in text
    assert "a stricter rule" in text
    assert "Not shown: The terms of the bound over training (the fit recorded no terms" in text
    assert text.count("the old whale sees the sailor") >= 4
    assert 'id="figure-reconstructions"' not in lost
    assert "amortisation gap" not in [name for name, _, _ in numbers(collapsed)]


def test_rows_of_numbers_are_missed_in_words(autoencoder: VAEContent) -> None:
    shown = replace(autoencoder.pictures, kind="arrays")
    text = Page(render_vae(replace(autoencoder, pictures=shown, checks=()))).text
    assert "Not shown: Samples (the rows are numbers; if they are images, give image=(height, width))." in text


def test_the_terminal_has_the_same_at_80_columns(autoencoder: VAEContent) -> None:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    print_vae_report(autoencoder, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, said.splitlines())) <= 80
    whole = re.sub(r"\s+", " ", said)
    for finding in autoencoder.findings:
        assert finding.reason in whole
    assert "The encoder: bad." in whole


def test_files_are_written_whole_and_a_bad_path_is_named(autoencoder: VAEContent, tmp_path: Path) -> None:
    assert write_vae_html(autoencoder, tmp_path / "new" / "report.html").read_text().rstrip().endswith("</html>")
    names = {path.stem for path in save_figures(autoencoder, tmp_path / "figures")}
    assert names == {caption.name for caption in VAE_CAPTIONS}
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file/report.html"):
        write_vae_html(autoencoder, tmp_path / "file" / "report.html")
