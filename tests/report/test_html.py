"""The HTML report: whole, self-contained, escaped, and saying everything that was found."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pyro_vae.diagnostics.misfit import misfit
from pyro_vae.errors import OutputError
from pyro_vae.plots import style
from pyro_vae.report import ReportContent, write_html
from pyro_vae.report.figures import CAPTIONS
from pyro_vae.report.html import LEVELS, render
from tests.plots import trees
from tests.report import contents

VOID = {"meta", "link", "br", "wbr", "hr", "img", "input", "use", "path", "line"}


class Page(HTMLParser):
    """Reads a page: whether its elements are balanced, its ids and links, its text by class and in all."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.sources: list[str] = []
        self.rows: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        for name in ("href", "xlink:href"):
            if name in given:
                self.targets.append(given[name])
        if "src" in given:
            self.sources.append(given["src"])
        if tag == "tr":
            self.rows.append((given.get("class", ""), ""))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not {"style", "svg"}.intersection(self.open):
            self.words.append(data)
            if "tr" in self.open:
                self.rows[-1] = (self.rows[-1][0], self.rows[-1][1] + data + " ")

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


def test_the_page_is_well_formed_and_its_ids_and_links_fit(schools_page: str) -> None:
    page = Page(schools_page)
    assert len(page.ids) == len(set(page.ids))
    inside = [target.removeprefix("#") for target in page.targets if target.startswith("#")]
    assert set(inside) <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", schools_page)) <= set(page.ids)


def test_the_page_asks_for_nothing_from_elsewhere(schools_page: str) -> None:
    page = Page(schools_page)
    assert not page.sources
    assert all(target.startswith(("#", "data:,")) for target in page.targets)
    assert "http" not in schools_page
    assert "//" not in re.sub(r"<style>.*?</style>", "", schools_page, flags=re.DOTALL)
    assert "@import" not in schools_page
    assert "<script" not in schools_page


def test_every_verdict_parameter_and_figure_is_there(schools: ReportContent, schools_page: str) -> None:
    text = Page(schools_page).text
    for name, judgement in schools.judgements.items():
        assert name in text
        assert judgement.verdict.reason in text
        assert LEVELS[judgement.verdict.level][1] in text
    for label in trees.LABELS:
        assert text.count(label) >= len(schools.judgements)
    for caption in CAPTIONS:
        assert (caption.title in text) is (caption.name != "estimators")
        assert (f'aria-label="{caption.title}"' in schools_page) is (caption.name != "estimators")
    assert "k̂ is a local diagnostic" in text


def test_the_way_to_the_baseline_is_told(schools_page: str) -> None:
    page = Page(schools_page)
    assert contents.HOW in page.text
    attempts = [row for _, row in page.rows if re.match(r"\s*\d\.", row)]
    assert [("212" in row, "✓" in row) for row in attempts] == [(True, False), (False, False), (False, True)]
    assert "E-BFMI not recorded" in page.text


def test_rows_that_break_the_rule_are_marked_by_a_sign_too(schools: ReportContent, schools_page: str) -> None:
    page = Page(schools_page)
    broken = [row for kind, row in page.rows if "broken" in kind]
    assert len(broken) == sum(int((misfit(own.table) >= 1).sum()) for own in schools.judgements.values()) > 0
    assert all(re.search("[▲▼?]", row) for row in broken)
    rest = [row for kind, row in page.rows if "broken" not in kind and row.strip().startswith("theta")]
    assert rest


def test_what_a_person_wrote_is_escaped(schools_page: str) -> None:
    assert "<mu & tau>" not in schools_page
    assert "&lt;mu &amp; tau&gt;" in schools_page
    assert "a &lt;b&gt; &amp; &#39;c&#39; &#34;d&#34;" in schools_page


def test_the_figures_follow_the_pages_colours(schools_page: str) -> None:
    body = schools_page.split("</style>")[1]
    assert not [colour for colour in style.DARK if colour in body]
    head = schools_page.split("</style>")[0]
    for light, dark in style.DARK.items():
        assert f"--c-{light[1:]}:{light};" in head
        assert f"--c-{light[1:]}:{dark};" in head


def test_the_report_is_small(schools_page: str) -> None:
    assert len(schools_page.encode()) < 2_000_000


def test_the_same_content_gives_the_same_page() -> None:
    assert render(contents.bimodal()) == render(contents.bimodal())


def test_a_missing_mode_is_named_although_khat_looks_good(bimodal: ReportContent) -> None:
    text = Page(render(bimodal)).text
    assert "misses a mode of x near" in text
    assert "untrusted" in text
    assert bimodal.judgements["mine"].weights.khat < 0.7  # type: ignore[union-attr]
    assert "The baseline: exact draws" in text
    assert "Did the chains of NUTS mix?" not in text


def test_figures_that_lack_their_data_are_missed_in_words(bimodal: ReportContent) -> None:
    text = Page(render(bimodal)).text
    assert "Not shown: The bound of each fit" in text
    assert "Not shown: Posterior predictive check" in text


def test_long_tables_show_the_worst_and_fold_the_rest(many: ReportContent) -> None:
    fields = {name: getattr(many, name) for name in ReportContent.__dataclass_fields__}
    text = render(contents.without_figures(ReportContent(**fields)))
    page = Page(text)
    assert page.text.count("All 60 parameters") >= 2
    assert text.count("<details>") >= len(many.judgements)
    for label in next(iter(many.judgements.values())).table.index:
        assert str(label) in page.text


def test_a_baseline_that_does_not_count_is_said_first() -> None:
    text = Page(render(contents.without_figures(contents.eight_schools(divergences=True)))).text
    assert "This baseline does not count: 23 transitions diverged." in text
    assert "no verdict" in text
    assert "divergences 23 ✕ fails" in text


def test_a_report_without_anything_is_a_report() -> None:
    tree = trees.normal_tree(["x"])
    empty = ReportContent(title="m", story="", verdict_text="", judgements={}, posteriors={"a": tree}, baseline=tree)
    assert "No guide was judged." in Page(render(contents.without_figures(empty))).text


def test_the_file_is_written_whole_or_not_at_all(bimodal: ReportContent, tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    assert write_html(bimodal, path) == path
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")


def test_a_path_that_cannot_be_written_is_named(bimodal: ReportContent, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file/report.html.*Choose a path"):
        write_html(bimodal, tmp_path / "file" / "report.html")
    folder = tmp_path / "folder.html"
    folder.mkdir()
    with pytest.raises(OutputError, match=r"folder.html"):
        write_html(bimodal, folder)
    assert not list(tmp_path.rglob("*.part"))
