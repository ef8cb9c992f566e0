"""The figures of the report on a VAE, in their order, with the words that say how to read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pyro_vae.errors import OptionError
from pyro_vae.report.figures import Caption, Drawn, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyro_vae.report.vae_content import Pictures, VAEContent

VAE_CAPTIONS = (
    Caption(
        "latents",
        "The KL of every latent",
        "How many nats q(z | x) costs in each, averaged over the rows; whiskers are two standard errors. A hollow bar "
        "is a latent that says the same of every row: it has collapsed.",
    ),
    Caption(
        "terms",
        "The terms of the bound over training",
        "The KL of each latent and the reconstruction term at every check on the validation rows. Lines that fall to "
        "zero while the reconstruction rises are a posterior collapse under way. The markers are the values kept.",
    ),
    Caption(
        "reconstructions",
        "Reconstructions",
        "Each row of the data, and below it what the decoder makes of its code. What is lost here is what the latents "
        "cannot say.",
    ),
    Caption(
        "samples",
        "Samples",
        "Rows that the model makes up, from draws of the prior. If they look worse than the reconstructions, the codes "
        "of the data are not where the prior is.",
    ),
    Caption(
        "traversals",
        "Walks through the latents",
        "Each row changes one latent alone, from low to high (2 to 98 % of the codes), starting from the code of the "
        "first row of the data; the latents with most KL come first. A row without change is a latent without use.",
    ),
    Caption(
        "interpolations",
        "Ways between rows",
        "From the code of one row (left) to that of another (right), on a straight line.",
    ),
    Caption(
        "map",
        "A map of the latents",
        "The posterior mean of every row. Labels are for the colours alone; the model has not seen them.",
    ),
    Caption(
        "aggregated",
        "The codes of all rows, and the prior",
        "The filled shape is the prior, from which samples start; the line is the aggregated posterior, the codes of "
        "all rows together. The distance is 1-Wasserstein, in standard deviations of the prior. Each dimension can "
        "look right while their dependence is not: the KL in the summary sees both.",
    ),
)


def draw_vae(content: VAEContent, width: float) -> Drawn:
    """Draw all figures, ``width`` inches wide; one that lacks its data says so instead."""
    return drawn(_plots(content, width))


def row_figures(content: VAEContent, width: float) -> Drawn:
    """For each row judged on NUTS, its two worst latents under the encoder and under NUTS, or its only one."""
    from pyro_vae import plots

    def one(check: Any) -> Callable[[], Figure]:
        posteriors, baseline = {"encoder": check.posterior}, check.baseline
        plot = plots.plot_pair if len(check.judgement.table) > 1 else plots.plot_marginals
        return lambda: plot(posteriors, baseline, width=width)

    return drawn({f"row-{check.row}": one(check) for check in content.checks})


def _plots(content: VAEContent, width: float) -> dict[str, Callable[[], Figure]]:
    from pyro_vae import plots

    table, shown = content.table, content.pictures
    found: dict[str, Callable[[], Figure]] = {
        "latents": lambda: plots.plot_latent_use(
            list(table.index), table["kl"].to_numpy(), table["kl_se"].to_numpy(),
            collapsed=table["collapsed"].tolist(), width=width,
        ),
        "terms": lambda: plots.plot_terms(content.terms, width=width),
        "map": lambda: plots.plot_latent_map(
            content.plane.points, content.labels, axes_names=content.plane.axes, note=content.plane.how, width=width
        ),
        "aggregated": lambda: plots.plot_aggregated(
            content.codes, content.prior_codes, content.unit_names, content.distances.distance, width=width
        ),
    }  # fmt: skip
    if shown.kind == "sentences":  # they are tables
        return found
    per_row = 12 if width > 5 else 6
    options: dict[str, Any] = {"limits": shown.limits, "width": width}
    found |= {
        "reconstructions": lambda: plots.plot_reconstructions(
            _images(shown, shown.originals), _images(shown, shown.reconstructions), per_row=per_row, **options
        ),
        "samples": lambda: plots.plot_images(plots.in_grid(_images(shown, shown.samples), per_row), **options),
        "interpolations": lambda: plots.plot_images(_made(shown, "interpolations"), **options),
        "traversals": lambda: plots.plot_images(
            _made(shown, "traversals"), rows=shown.traversed, columns=shown.values, **options
        ),
    }
    return {caption.name: found[caption.name] for caption in VAE_CAPTIONS}


def _made(shown: Pictures, what: str) -> np.ndarray:
    if what in shown.missing:
        raise OptionError(shown.missing[what])
    return _images(shown, getattr(shown, what))


def _images(shown: Pictures, rows: Any) -> np.ndarray:
    if shown.kind != "images":
        raise OptionError("the rows are numbers; if they are images, give image=(height, width)")
    return rows
