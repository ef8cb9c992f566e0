"""What was found out about a VAE: judgements, tables, figures; as text, pandas, HTML or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pyro_vae.diagnostics import Collapse, RowCheck
    from pyro_vae.report.vae_content import Remark, RowEvidence, VAEContent


@dataclass(frozen=True)
class Examination:
    """A trained VAE, examined. Made by :func:`~pyro_vae.examine`; ``content`` has every number."""

    content: VAEContent

    @property
    def findings(self) -> tuple[Remark, ...]:
        """Of the code, the encoder, the samples and the evidence: ``.level``, ``.about``, ``.reason``, ``.advice``."""
        return self.content.findings

    @property
    def verdict(self) -> str:
        """The findings in plain words, a line each."""
        return "\n".join(
            " ".join(part for part in (f"{found.about}: {found.level}.", found.reason, found.advice) if part)
            for found in self.findings
        )

    @property
    def collapse(self) -> Collapse:
        """Posterior collapse: ``.level``, ``.components``, ``.reason``, ``.advice``."""
        return self.content.collapse

    @property
    def evidence(self) -> RowEvidence:
        """The ELBO, the importance-weighted bound and the gaps, in nats per row."""
        return self.content.evidence

    @property
    def checks(self) -> tuple[RowCheck, ...]:
        """The rows judged on NUTS."""
        return self.content.checks

    def summary(self) -> pd.DataFrame:
        """One row per component of the latents: ``kl`` with ``kl_se`` (nats), ``share`` of it, ``collapsed``.

        Where the components are what the decoder reads, also the ``variance`` of the posterior mean over the rows,
        ``active``, and how far the codes are from the prior, ``wasserstein`` (sds).
        """
        content, table = self.content, self.content.table.copy()
        if tuple(table.index[: len(content.unit_names)]) == content.unit_names:
            for name, values in (
                ("variance", content.units.variance),
                ("active", content.units.active),
                ("wasserstein", content.distances.distance),
            ):
                table[name] = [*values, *[None] * (len(table) - len(values))]
        return table

    def rows(self) -> pd.DataFrame:
        """One row per datapoint judged on NUTS: ``level``, Pareto's ``khat``, ``evidence`` by bridge sampling and
        ``iwae``, each with its standard error (nats), and whether they agree."""
        import pandas as pd

        table = {
            check.row: {
                "level": check.level,
                "khat": float("nan") if check.judgement.weights is None else check.judgement.weights.khat,
                "evidence": check.evidence,
                "evidence_se": check.evidence_error,
                "iwae": check.iwae,
                "iwae_se": check.iwae_error,
                "agrees": check.agrees,
            }
            for check in self.checks
        }
        return pd.DataFrame.from_dict(table, orient="index").rename_axis("row")

    def figures(self) -> dict[str, Figure]:
        """Every figure that can be drawn, by name, in the order of the report."""
        return dict(self.content.drawn.figures)

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one self-contained file; returns its path.

        Raises :class:`~pyro_vae.errors.OutputError` naming the path.
        """
        from pyro_vae.report.vae_html import write_vae_html

        return write_vae_html(self.content, path)

    def save(self, folder: str | Path) -> Path:
        """Write ``report.html``, ``figures/``, ``latents.csv``, ``rows.csv`` and ``verdict.txt``; returns the folder.

        It is written beside its place and then renamed. An earlier report in its place is replaced, anything else is
        left alone: :class:`~pyro_vae.errors.OutputError`.
        """
        from pyro_vae.report.figures import save_figures
        from pyro_vae.studies.folder import new_folder

        with new_folder(folder) as part:
            self.to_html(part / "report.html")
            save_figures(self.content, part / "figures")
            self.summary().to_csv(part / "latents.csv")
            if self.checks:
                self.rows().to_csv(part / "rows.csv")
            (part / "verdict.txt").write_text(self.verdict + "\n", encoding="utf-8")
        return Path(folder)
