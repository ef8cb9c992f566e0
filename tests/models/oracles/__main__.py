"""Write ``models/reference/*.json``: ``python -m tests.models.oracles``, about two minutes."""

from __future__ import annotations

import json

from pyro_vae.catalogue import catalogue_folder
from tests.models.oracles.derive import DERIVE

for name, derive in DERIVE.items():
    path = catalogue_folder() / "reference" / f"{name}.json"
    path.write_text(json.dumps(derive(), indent=2) + "\n")
    print(path)  # noqa: T201
