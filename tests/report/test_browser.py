"""The report in a browser, at desktop and phone width: nothing runs out of the page or of its box."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pyro_vae.report import ReportContent, VAEContent, write_html, write_vae_html

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=5000",
]  # fmt: skip
# What reaches over the edge of the page outside a box of its own that scrolls, is cut in its box, or is too small.
MEASURE = """<script>
const visible = [...document.querySelectorAll("main, main *")].filter(
  (element) => element.getBoundingClientRect().width && !element.parentElement.closest("svg"));
const over = (element) => {
  const box = element.getBoundingClientRect();
  return !element.closest(".scroll") && (box.right > innerWidth + 1 || box.left < -1);
};
const count = (test) => visible.filter(test).length;
parent.postMessage(JSON.stringify({
  window: innerWidth,
  page: document.documentElement.scrollWidth,
  over: count(over),
  cut: count((element) => element.matches("h1,h2,h3,p,figcaption,li,td,th,.badge,.wide,.narrow")
    && element.scrollWidth > element.clientWidth + 2),
  small: count((element) => parseFloat(getComputedStyle(element).fontSize) < 11),
  figures: count((element) => element.matches("figure svg")),
}), "*");
</script></body>"""
# Headless Chromium has no window narrower than 500 pixels, but a frame can be.
FRAME = """<body><iframe src="report.html" width="{width}" height="900" style="border:0"></iframe><script>
onmessage = (event) => document.body.setAttribute("data-found", event.data);
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("schools", 1280),
        ("schools", 390),
        ("many", 1280),
        ("many", 390),
        ("estimators", 1280),
        ("estimators", 390),
        ("autoencoder", 1280),
        ("autoencoder", 390),
        ("collapsed", 1280),
        ("collapsed", 390),
    ],
)
def test_nothing_runs_out_of_the_page(name: str, width: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    content: ReportContent | VAEContent = request.getfixturevalue(name)
    write = write_vae_html if isinstance(content, VAEContent) else write_html
    page = write(content, tmp_path / "report.html")
    assert page.stat().st_size < 3_000_000
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", MEASURE), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(width=width), encoding="utf-8")
    command = [str(BROWSER), *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000"]
    command += ["--dump-dom", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    measured = {key: int(value) for key, value in re.findall(r"&quot;(\w+)&quot;:(\d+)", found[1])}
    figures = len(content.drawn.figures)
    assert measured == {"window": width, "page": width, "over": 0, "cut": 0, "small": 0, "figures": figures}
