"""A folder of results is whole or not there, and nothing that is not ours is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyro_vae.errors import OutputError
from pyro_vae.studies.folder import check_folder, file_names, new_folder


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "report") as part:
        (part / "report.html").write_text("1")
        assert not (tmp_path / "a" / "report").exists()
    assert entries(tmp_path) == {"a", "report", "report.html"}


def test_a_folder_that_was_not_finished_leaves_nothing_and_the_old_one_in_place(tmp_path: Path) -> None:
    with new_folder(tmp_path / "report") as part:
        (part / "report.html").write_text("old")
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "report") as part:
        (part / "report.html").write_text(f"{1 / 0}")
    assert entries(tmp_path) == {"report", "report.html"}
    assert (tmp_path / "report" / "report.html").read_text() == "old"


def test_an_earlier_report_is_replaced_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "report") as part:
        (part / "report.html").write_text("old")
        (part / "left over.png").write_text("old")
    with new_folder(tmp_path / "report") as part:
        (part / "report.html").write_text("new")
    assert entries(tmp_path) == {"report", "report.html"}
    assert (tmp_path / "report" / "report.html").read_text() == "new"


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear reader")
    with pytest.raises(OutputError, match="not a report's"), new_folder(tmp_path):
        raise AssertionError
    with pytest.raises(OutputError, match=r"thesis\.tex is there and is not a folder"):
        check_folder(tmp_path / "thesis.tex")
    assert entries(tmp_path) == {"thesis.tex"}


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    assert not entries(tmp_path)


def test_a_place_that_cannot_be_written_is_said_before_the_work() -> None:
    with pytest.raises(OutputError, match=r"/dev/null/report cannot be written: Not a directory"):
        check_folder("/dev/null/report")


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"report cannot be written.*No space left"), new_folder(tmp_path / "report"):
        raise OSError(28, "No space left on device")
    assert not entries(tmp_path)


def test_a_guides_name_makes_a_file_name() -> None:
    names = ["../../etc/passwd", "mean-field", "//", "\\\\", "baseline"]
    files = ["etc_passwd", "mean-field", "guide", "guide-2", "baseline-2"]
    assert list(file_names(names, taken=["baseline"]).values()) == files
