"""Fit, sample, compare with the reference, write: see ``--help``. Rows that are there already are kept."""

from __future__ import annotations

import argparse
import csv
import os
import sys
import warnings
from pathlib import Path

import pyro_vae as pv
from pyro_vae.posteriordb import open_database
from tests.posteriordb.clones import TWELVE
from tests.references.rows import COLUMNS, rows_of
from tests.references.table import SHORT, markdown

FOLDER = Path(__file__).parents[3] / "shared" / "posteriordb"


def main() -> None:
    """Every posterior with every guide; what is found is written after each posterior."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "guides.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8"))) if path.exists() and not options.anew else []
    for name in () if options.draw else options.only or TWELVE:
        there = {row["guide"] for row in rows if row["posterior"] == name}
        missing = [guide for guide in options.guides if guide not in there]
        if missing:
            program = pv.load_program(f"posteriordb:{name}", posteriordb=options.posteriordb)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                summary = open_database(options.posteriordb).posterior(name).summary
                found = rows_of(program, summary, missing, nuts=not options.no_nuts, say=_say)
            rows += [{key: _written(row[key]) for key in COLUMNS} for row in found]
        rows.sort(key=lambda row: (TWELVE.index(row["posterior"]), list(SHORT).index(row["guide"])))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    (options.out / "guides.md").write_text(markdown(rows), encoding="utf-8")
    _say(f"written to {options.out}")


def _written(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.references",
        description="Guides against the reference draws of twelve posteriors of posteriordb, raw and reweighted.",
    )
    parser.add_argument("--posteriordb", type=Path, default=Path(os.environ.get("POSTERIORDB", FOLDER)), metavar="PATH")
    parser.add_argument("--only", nargs="+", choices=TWELVE, metavar="NAME", help=f"some of: {', '.join(TWELVE)}")
    parser.add_argument("--guides", nargs="+", choices=list(SHORT), default=list(SHORT), metavar="GUIDE")
    parser.add_argument("--no-nuts", action="store_true", help="no NUTS: verdicts on the reference's own draws")
    parser.add_argument("--anew", action="store_true", help="measure again what is in FOLDER")
    parser.add_argument("--draw", action="store_true", help="measure nothing: write the table of what is in FOLDER")
    parser.add_argument("--out", type=Path, default=Path("build/references"), metavar="FOLDER")
    return parser.parse_args()


def _say(said: str) -> None:
    sys.stderr.write(f"{said}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
