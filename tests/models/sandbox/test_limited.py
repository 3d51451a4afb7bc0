"""A limited process does what it is asked and nothing else, and whatever becomes of it is told."""

from __future__ import annotations

import os
import sys
from io import BytesIO
from pathlib import Path

import pytest

from steward.errors import ContractError, EngineError, IntegrityError, NotFound, StewardError
from steward.models.sandbox.limited import Failure, Limits, run

GREEDY = "tests.models.greedy:"


def test_it_is_given_bytes_or_a_file(tmp_path: Path) -> None:
    assert run("steward.models.sandbox.limited_process:count_bytes", b"abc" * 1000) == b"3000"
    with (tmp_path / "given").open("w+b") as file:
        file.write(b"abcd")  # not yet flushed, and not at its start
        assert run("steward.models.sandbox.limited_process:count_bytes", file) == b"4"


def test_it_has_nothing_but_its_input_and_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEWARD_SECRET", "swordfish")
    opened = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(opened, True)
    try:
        said = run(GREEDY + "look_around", b"", limits=Limits(memory_bytes=1 << 30, open_files=40)).decode()
    finally:
        os.close(opened)
    # Standard input, output and error, and the folder that it lists just now.
    expected = ([0, 1, 2], 4, [0, 1 << 30, 40], ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"], "/", True)
    assert said == repr(expected)


def test_it_cannot_reach_out(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("as it was")
    assert run(GREEDY + "try_out", b"", str(tmp_path)) == b"[] as it was"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["there"]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("take_memory", "more memory than 512 MiB"),
        ("take_time", "processor time"),
        ("crash", "signal 11"),
        ("recurse", "nested too deeply"),
        ("leave", "gave no answer"),
        ("lie", "gave no answer"),
        ("go_wrong", "KeyError: 'nobody foresaw this'"),
    ],
)
def test_what_becomes_of_it_is_told(function: str, says: str) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        run(GREEDY + function, b"", limits=Limits(memory_bytes=512 << 20, cpu_s=1 if function == "take_time" else 20))
    assert caught.value.code == "model-unsafe"


def test_a_process_that_waits_is_ended() -> None:
    with pytest.raises(ContractError, match="took longer than 1 s"):
        run(GREEDY + "wait", b"", limits=Limits(wall_s=1))


def test_an_answer_has_a_longest_length() -> None:
    with pytest.raises(ContractError) as caught:
        run(GREEDY + "talk", b"")
    assert caught.value.code == "model-unsafe"


@pytest.mark.parametrize(
    ("kind", "error"),
    [("contract", ContractError), ("integrity", IntegrityError), ("engine", EngineError), ("not-found", NotFound)],
)
def test_an_error_comes_back_as_it_was(kind: str, error: type[StewardError]) -> None:
    with pytest.raises(error) as caught:
        run(GREEDY + "fail", b"", kind)
    assert type(caught.value) is error
    told = caught.value
    assert (told.what, told.why, told.fix, told.code, told.field) == (
        "it failed", "on purpose", "mend it", "own-code", "model.txt",
    )  # fmt: skip
    assert Failure.of(told).error().args == told.args


def test_no_process_is_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(EngineError, match="cannot be started"):
        run("steward.models.sandbox.limited_process:count_bytes", b"")


def test_what_has_no_descriptor_is_given_as_bytes() -> None:
    assert run("steward.models.sandbox.limited_process:count_bytes", BytesIO(b"abc").getvalue()) == b"3"
