"""Training VAEs on the command line: runs, going on with them, what is shown of them, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pyro_vae as pv
from pyro_vae import cli
from tests.commands.test_working import fits_80_columns

POEMS = ["the cat sleeps", "a dog barks", "the dog sees a cat", "a cat sees the sleeping dog"]
FIT = ["fit", "categorical_vae", "--epochs", "2", "--validation", "0.2", "--quiet"]


def words(text: str) -> str:
    """Text without its line breaks."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four kinds of a person's own data and a run of each, made by the command line."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    (folder / "poems.txt").write_text("\n".join(POEMS * 10) + "\n")
    (folder / "table.csv").write_text("a,b,kind\n" + "".join(f"{a},{2 * a + 1},k{a % 2}\n" for a in range(40)))
    np.savez(folder / "bits.npz", x=rng.integers(0, 2, (40, 9)))
    (folder / "pictures").mkdir()
    for index in range(12):
        Image.fromarray(rng.integers(0, 256, (6, 7, 3)).astype(np.uint8)).save(folder / "pictures" / f"{index:02}.png")
    made = {
        "text": ["sentence_vae", "--data", folder / "poems.txt", "--size", "hidden=8", "--validation", "0.3"],
        "table": ["linear_vae", "--data", folder / "table.csv", "--label", "kind", "--scale", "standard",
                  "--size", "latents=1"],
        "bits": ["categorical_vae", "--data", folder / "bits.npz"],
        "photos": ["vae_digits", "--data", folder / "pictures", "--size", "net=conv", "--size", "channels=4,4"],
        "digits": ["vae_digits", "--size", "hidden=8", "--batch-size", "600"],
    }  # fmt: skip
    for name, said in made.items():
        arguments = ["fit", *map(str, said), "--epochs", "1", "--out", str(folder / name), "--quiet"]
        assert cli.main(arguments) == 0, name
    return folder


def test_fit_says_what_came_out_and_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*FIT, "--save", "mine.safetensors"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert fits_80_columns(out)
    assert "categorical_vae, trained on 800 rows in" in out
    assert "On 200 rows that were held out: -" in out
    assert "pyro-vae sample categorical_vae-run" in out
    run = pv.open_run("categorical_vae-run")
    assert f"Bound {run.fit.bound / 800:.3f}" in out
    assert (tmp_path / "mine.safetensors").is_file()
    record = json.loads((tmp_path / "categorical_vae-run" / "run.json").read_text())
    assert record["options"]["learning_rate"] == 0.05, "the program's own proposal"
    assert record["options"]["batch_size"] == 250
    assert cli.main(FIT) == 2
    assert "has a run in it. Go on with it: pyro-vae fit --resume categorical_vae-run" in words(capsys.readouterr().err)


def test_every_size_and_every_datum_of_ones_own_is_in_the_run(runs: Path) -> None:
    table = pv.open_run(runs / "table")
    assert table.rows.columns == ("a", "b")
    assert table.label_names == ("k0", "k1")
    assert table.vae.latent.code_size == 1
    assert table.rows.as_arrays(table.x)[3].tolist() == pytest.approx([3, 7], abs=1e-4)
    text = pv.open_run(runs / "text")
    assert text.kind == "sentences"
    assert set(text.rows.as_sentences(text.x)) <= set(POEMS)
    assert json.loads((runs / "text" / "run.json").read_text())["rows"]["words"] == list(text.vocabulary.words)
    assert pv.open_run(runs / "photos").image == (3, 6, 7)
    assert pv.open_run(runs / "digits").labels[:4].tolist() == [0, 1, 2, 3]  # pyright: ignore


def test_samples_of_images_are_a_picture_of_sentences_text_and_of_arrays_a_file(
    runs: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["sample", str(runs / "photos"), "-n", "10"]) == 0
    assert str(runs / "photos" / "samples.png") in capsys.readouterr().out
    with Image.open(runs / "photos" / "samples.png") as picture:
        assert picture.size[0] == pytest.approx(1080, abs=1)
        assert len(np.unique(np.asarray(picture))) > 20
    assert cli.main(["sample", str(runs / "table"), "-n", "10"]) == 0
    assert np.load(runs / "table" / "samples.npz")["x"].shape == (10, 2)
    capsys.readouterr()
    assert cli.main(["sample", str(runs / "text"), "-n", "5", "--out", str(runs / "new.txt")]) == 0
    out = capsys.readouterr().out
    assert fits_80_columns(out)
    assert (runs / "new.txt").read_text() == out
    known = set(pv.open_run(runs / "text").vocabulary.words)
    assert all(set(line.split()) <= known for line in out.splitlines())


def test_the_same_seed_gives_the_same_samples(runs: Path, tmp_path: Path) -> None:
    drawn = []
    for seed in ("1", "1", "2"):
        file = tmp_path / f"{len(drawn)}.npz"
        assert cli.main(["sample", str(runs / "bits"), "-n", "20", "--out", str(file), "--seed", seed]) == 0
        drawn.append(np.load(file)["x"])
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] != drawn[2]).any()
    assert set(np.unique(drawn[0])) <= {0.0, 1.0}
    assert cli.main(["sample", str(runs / "bits"), "--no-noise", "--out", str(file)]) == 0
    assert not set(np.unique(np.load(file)["x"])) <= {0.0, 1.0}


def test_reconstructions_are_of_the_rows_that_were_held_out_or_of_others(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["reconstruct", str(runs / "text"), "-n", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    run = pv.open_run(runs / "text")
    assert [line[7:] for line in out[::2]] == run.validation_rows.as_sentences(run.validation["x"][:2])  # pyright: ignore
    assert all(line.split()[0] == "model" for line in out[1::2])
    assert cli.main(["reconstruct", str(runs / "digits"), "-n", "9"]) == 0
    assert (runs / "digits" / "reconstructions.png").is_file()
    (tmp_path / "more.csv").write_text("a,b\n1,3\n100,201\n")
    file = tmp_path / "r.npz"
    said = ["reconstruct", str(runs / "table"), "--data", str(tmp_path / "more.csv"), "--out", str(file)]
    assert cli.main(said) == 0
    found = np.load(file)
    np.testing.assert_allclose(found["x"], [[1, 3], [100, 201]], rtol=1e-5)
    assert found["reconstruction"].shape == (2, 2)


def test_a_run_goes_on_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    once, twice = str(tmp_path / "once"), str(tmp_path / "twice")
    assert cli.main([*FIT, "--out", once]) == 0
    assert cli.main([*FIT[:3], "1", *FIT[4:], "--out", twice]) == 0
    assert cli.main(["fit", "--resume", twice, "--epochs", "2", "--quiet"]) == 0
    first, second = pv.open_run(once).fit, pv.open_run(twice).fit
    assert all(torch.equal(first.values[name], second.values[name]) for name in first.values)
    assert capsys.readouterr().err == ""


def started(arguments: list[str], folder: Path) -> subprocess.Popen:
    """``pyro-vae`` in a process of its own, once the first checkpoint of its run is there."""
    source = str(Path(pv.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "pyro_vae.cli", *arguments],
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / "checkpoint.safetensors").exists() and process.poll() is None:
        time.sleep(0.02)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_run_that_is_stopped_goes_on_to_the_same_end(how: signal.Signals, tmp_path: Path) -> None:
    options = ["--size", "hidden=50", "--validation", "0.1", "--quiet"]
    folder = tmp_path / "run"
    process = started(["fit", "vae_digits", "--epochs", "400", *options, "--out", str(folder)], folder)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    if how == signal.SIGINT:
        assert "The run is kept up to step" in words(said)
        assert f"pyro-vae fit --resume {folder}" in words(said)
        assert "Traceback" not in said
    stopped = pv.open_run(folder)
    assert not stopped.finished
    record = folder / "run.json"  # as if it had been asked for a few more than it had taken
    epochs = -(-stopped.fit.steps // 13) + 3
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "options": {**content["options"], "epochs": epochs}}))
    assert cli.main(["fit", "--resume", str(folder), "--quiet"]) == 0
    whole = tmp_path / "whole"
    assert cli.main(["fit", "vae_digits", "--epochs", str(epochs), *options, "--out", str(whole)]) == 0
    first, second = pv.open_run(folder).fit, pv.open_run(whole).fit
    assert first.steps == second.steps == 13 * epochs
    assert first.bound == second.bound
    assert all(torch.equal(first.values[name], second.values[name]) for name in first.values)


REFUSED = {
    "nuts of a VAE": (["nuts", "vae_digits"], "pyro-vae report run/ instead"),
    "compare of a VAE": (["compare", "vae_digits"], "pyro-vae report run/ instead"),
    "epochs of a model": (["fit", "bimodal", "--epochs", "3"], "--epochs is for programs that build a VAE"),
    "data of a model": (["fit", "bimodal", "--data", "x.csv"], "--data is for programs that build a VAE"),
    "a guide of a VAE": (["fit", "vae_digits", "--guide", "auto_normal"], "trained with the guide that it brings"),
    "no program": (["fit"], "say which program to fit"),
    "a size without a value": (["fit", "vae_digits", "--size", "latents"], "expected NAME=VALUE"),
    "an unknown size": (["fit", "vae_digits", "--size", "latent=3"], "cannot be called with latent"),
    "a wrong size": (["fit", "vae_digits", "--size", "net=cnn"], "net: expected one of mlp, conv, got 'cnn'"),
    "an unknown estimator": (["fit", "vae_digits", "--estimator", "reparam"], "Nearest: reparameterized"),
    "data that are not there": (["fit", "vae_digits", "--data", "x.csv"], "x.csv: there is no such file"),
    "a label of nothing": (["fit", "vae_digits", "--label", "y"], "give data too"),
    "no data but its own": (["fit", "per_datapoint", "--data", "bits.npz"], "takes no data but its own"),
    "sentences only": (["fit", "sentence_vae", "--data", "bits.npz"], "takes sentences alone"),
    "no sentences": (["fit", "vae_digits", "--data", "poems.txt"], "takes no sentences"),
    "beyond Bernoulli": (
        ["fit", "vae_digits", "--data", "table.csv", "--label", "kind"],
        "table.csv, line 3: x: row 1, entry [1]: expected numbers from 0 to 1, for a Bernoulli likelihood, got 3",
    ),
    "no run to go on with": (["fit", "--resume", "photos"], "photos is no run: it has no run.json"),
    "a run and a program": (["fit", "vae_digits", "--resume", "x"], "knows its program"),
    "another rate": (["fit", "--resume", "x", "--learning-rate", "1"], "a run goes on as it was begun"),
    "no run to sample": (["sample", "photos"], "photos is no run"),
    "a wrong ending": (["sample", "x", "--out", "x.pdf"], "expected a file that ends in .png, .npz, .txt"),
    "a picture of numbers": (["sample", "RUNS/bits", "--out", "x.png"], "is for images"),
    "text of pictures": (["sample", "RUNS/digits", "--out", "x.txt"], "is for sentences"),
    "an unknown word": (
        ["reconstruct", "RUNS/text", "--data", "other.txt"],
        "other.txt, line 2: the word 'cap' is not in the vocabulary",
    ),
    "a picture of another size": (
        ["reconstruct", "RUNS/digits", "--data", "RUNS/pictures"],
        "00.png: has 7 x 6 pixels and 1 channels; expected 8 x 8",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_exit_code_2_and_a_message(
    arguments: list[str], said: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for name in ("poems.txt", "table.csv", "bits.npz"):
        (tmp_path / name).write_bytes((runs / name).read_bytes())
    (tmp_path / "photos").mkdir()
    (tmp_path / "other.txt").write_text("the cat\nthe cap\n")
    before = {path.name for path in tmp_path.iterdir()}
    paths = {"RUNS/pictures": str(runs / "pictures")}
    paths |= {f"RUNS/{name}": str(runs / name) for name in ("bits", "digits", "text")}
    assert cli.main([paths.get(word, word) for word in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in words(err.replace(str(runs), "")), err
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_compare_in_python_refuses_nuts_on_a_vae_too() -> None:
    with pytest.raises(pv.ProgramError, match=r"pyro-vae report run/ instead"):
        pv.compare("categorical_vae", progress=False)
