"""The report on a VAE as one HTML file, on the same page as the report on guides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyro_vae.plots.style import NARROW, WIDTH
from pyro_vae.report.figures import Caption, Drawn
from pyro_vae.report.html import LEVELS as VERDICTS
from pyro_vae.report.html import inlined, page, write_page
from pyro_vae.report.vae_content import VAEContent
from pyro_vae.report.vae_figures import VAE_CAPTIONS, row_figures
from pyro_vae.report.words import decimal, signed, with_error

LEVELS = {
    **{f"row-{level}": badge for level, badge in VERDICTS.items()},
    "trusted": ("✓", "good"),
    "reweight": ("◑", "look at it"),
    "untrusted": ("✕", "bad"),
    "none": ("?", "not judged"),
}
"""The signs and words of the badges of findings; those of rows are the verdict's own."""


def write_vae_html(content: VAEContent, path: str | Path) -> Path:
    """Write the report to ``path``; returns the path. Raises: ``OutputError`` naming the path."""
    return write_page(render_vae(content), path)


def render_vae(content: VAEContent) -> str:
    """The report as a string of HTML."""
    titles = {caption.name: caption.title for caption in VAE_CAPTIONS}
    return page(
        "vae.html.j2",
        content,
        levels=LEVELS,
        question="is the autoencoder any good?",
        beside="The tables of this page are the CSV files beside it, if they were saved.",
        numbers=numbers(content),
        latents=_latents(content),
        figures=inlined(VAE_CAPTIONS, content),
        not_drawn=[(titles[name], why) for name, why in content.drawn.not_drawn.items()],
        checks=_checks(content),
    )


def numbers(content: VAEContent) -> list[tuple[str, str, str]]:
    """What there is to say in one number each: its name, the number with its error, and what it means."""
    found, surgery, units = content.evidence, content.surgery, content.units
    kl = float(content.table["kl"].to_numpy().sum())
    rows = [
        ("ELBO", with_error(found.elbo, found.elbo_error), "reconstruction less KL; the error is over the rows"),
        ("reconstruction", with_error(*content.explained), "E_q[log p(x | z)]"),
        ("KL", decimal(kl, 3), "of q(z | x) from the prior" + ("" if content.exact_kl else ", from draws")),
        (
            f"log evidence, K = {found.K}",
            with_error(found.iwae, found.population_error),
            f"the importance-weighted bound; ± {found.iwae_error:.4f} by the draws alone",
        ),
        ("inference gap", decimal(found.inference_gap, 3), "log evidence less ELBO: what q(z | x) costs, at least"),
    ]
    if found.gap is not None:
        meaning = f"of it, by the encoder's net; from {found.gap_rows} rows whose q(z) was optimised for each"
        rows.append(("amortisation gap", with_error(found.gap, found.gap_error), meaning))
    rows += [
        ("worth of the code", with_error(*content.worth), "how far log p(x | z) falls with another row's code"),
        (
            "active units",
            f"{units.count} of {len(units.active)}",
            "whose posterior mean has a variance above 0.01 over the rows"
            + ("" if content.normal else "; of what the decoder reads, which is not normal: a stricter rule"),
        ),
        ("information", with_error(surgery.information, surgery.information_error), "what a code says of its row"),
        (
            "KL(q(z) ‖ p(z))",
            with_error(surgery.marginal, surgery.marginal_error),
            "how far the codes as a whole are from the prior"
            + ("; too few rows to tell the two apart" if surgery.saturated else ""),
        ),
    ]
    return rows


def _latents(content: VAEContent) -> list[dict[str, Any]]:
    """A row per component of the KL, with the numbers of the unit of that name."""
    places = {name: index for index, name in enumerate(content.unit_names)}
    found = []
    for name, row in content.table.to_dict("index").items():
        place = places.get(str(name))
        unit = None if place is None else content.units.variance[place]
        off = None if place is None else content.distances.distance[place]
        found.append(
            {
                "name": name,
                "kl": with_error(float(row["kl"]), float(row["kl_se"])),
                "share": f"{100 * row['share']:.1f} %",
                "variance": "–" if unit is None else decimal(float(unit), 3),
                "active": "–" if place is None else ("✓ yes" if content.units.active[place] else "✕ no"),
                "distance": "–" if off is None else decimal(float(off)),
                "collapsed": bool(row["collapsed"]),
            }
        )
    return found


def _checks(content: VAEContent) -> list[dict[str, Any]]:
    """Every row that was judged on NUTS, with its picture for a page and for a phone."""
    wide, narrow = row_figures(content, WIDTH), row_figures(content, NARROW)

    class Rows:  # what `inlined` reads
        drawn: Drawn = wide
        drawn_narrow: Drawn = narrow

    captions = [Caption(f"row-{check.row}", f"Row {check.row}", "") for check in content.checks]
    pictures = {figure["name"]: figure for figure in inlined(captions, Rows)}
    found = []
    for check in content.checks:
        weights = check.judgement.weights
        found.append(
            {
                "row": check.row,
                "level": check.level,
                "reason": check.judgement.verdict.reason,
                "khat": "–" if weights is None else decimal(weights.khat),
                "evidence": with_error(check.evidence, check.evidence_error),
                "iwae": with_error(check.iwae, check.iwae_error),
                "difference": signed(check.difference, 3),
                "agrees": check.agrees,
                "figure": pictures.get(f"row-{check.row}"),
            }
        )
    return found
