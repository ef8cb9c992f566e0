"""What a fit writes while it runs is its history, also after a resumption."""

from __future__ import annotations

import csv
import sys
from types import ModuleType

import pyro
import pytest

from pyro_vae import Validation, fit
from pyro_vae.errors import OutputError
from pyro_vae.training import FitInterrupted, step
from tests.training.programs import Y, guide, model

pytestmark = pytest.mark.usefixtures("cheap_bounds")
OPTIONS = {"steps": 30, "seed": 0, "num_particles": 2, "stop": None}


def table(path):
    with path.open() as file:
        header, *rows = csv.reader(file)
    return header, [[float(value) for value in row] for row in rows]


def test_every_step_and_every_check_is_a_row(tmp_path):
    result = fit(model, guide, Y, log=tmp_path / "run", validation=Validation(Y, every=10), **OPTIONS)
    header, rows = table(tmp_path / "run" / "history.csv")
    assert header == ["step", "bound", "gradient_norm", "learning_rate", "seconds", "elbo"]
    history = result.history
    columns = (history.bound, history.gradient_norm, history.learning_rate, history.seconds, history.elbo)
    assert rows == [[index + 1, *(column[index] for column in columns)] for index in range(30)]
    header, checks = table(tmp_path / "run" / "validation.csv")
    assert header == ["step", "bound_per_row"]
    assert checks == result.validation[:3].tolist()


def test_restarts_have_folders_of_their_own(tmp_path):
    fit(model, guide, Y, log=tmp_path, restarts=2, **OPTIONS)
    for start in ("start-1", "start-2"):
        assert len(table(tmp_path / start / "history.csv")[1]) == 30


def test_a_resumed_run_has_every_step_once(tmp_path, monkeypatch):
    path, original, taken = tmp_path / "run.safetensors", step.EagerStepper._step, [0]

    def dying(self, *args):
        taken[0] += 1
        if taken[0] > 20:
            raise KeyboardInterrupt
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(step.EagerStepper, "_step", dying)
        with pytest.raises(FitInterrupted):
            fit(model, guide, Y, log=tmp_path, checkpoint=path, checkpoint_every=8, **OPTIONS)
    pyro.clear_param_store()
    result = fit(model, guide, Y, log=tmp_path, checkpoint=path, resume=True, **OPTIONS)
    _, rows = table(tmp_path / "history.csv")
    assert [row[0] for row in rows] == list(range(1, 31))
    assert [row[1] for row in rows] == result.history.bound.tolist()


class Writer:
    """Stands in for TensorBoard's writer."""

    made: list[Writer] = []

    def __init__(self, folder, purge_step=None):
        self.folder, self.purge_step, self.points, self.closed = folder, purge_step, {}, False
        self.made.append(self)

    def add_scalar(self, name, value, step):
        self.points.setdefault(name, {})[step] = value

    def close(self):
        self.closed = True


def test_tensorboard_gets_the_last_step_and_every_quantity(tmp_path, monkeypatch):
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    result = fit(model, guide, Y, log=tmp_path, validation=Validation(Y, every=10), **OPTIONS)
    (writer,) = Writer.made
    assert writer.folder == str(tmp_path)
    assert writer.purge_step is None
    assert writer.closed
    assert writer.points["fit/bound"][30] == result.history.bound[-1]
    assert writer.points["validation/bound_per_row"][30] == result.validation[2, 1]
    assert set(writer.points) == {
        "fit/bound",
        "fit/elbo",
        "fit/gradient_norm",
        "fit/learning_rate",
        "fit/seconds",
        "validation/bound_per_row",
    }


def test_a_fabrics_loggers_are_told(tmp_path):
    from lightning.fabric import Fabric
    from lightning.fabric.loggers import CSVLogger

    fabric = Fabric(accelerator="cpu", devices=1, loggers=CSVLogger(tmp_path, flush_logs_every_n_steps=1))
    result = fit(model, guide, Y, fabric=fabric, **OPTIONS)
    (path,) = tmp_path.rglob("metrics.csv")
    _, rows = table(path)
    assert result.history.bound[-1] in rows[-1]


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"log='.*file/run'"):
        fit(model, guide, Y, log=tmp_path / "file" / "run", **OPTIONS)
