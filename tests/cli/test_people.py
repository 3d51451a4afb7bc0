"""The commands of people who are asked, and of the stop switch, in process and beside a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.test_main import LARGE, NAME, data, decided, project, refusal, steward

__all__ = ["project"]  # the fixture


@pytest.fixture
def asks_two(project: Path) -> Path:
    """A project whose gate wants two people, and lets them choose between two words."""
    file = project / "refunds.py"
    text = file.read_text(encoding="utf-8")
    text = text.replace(
        'otherwise="inspect"', 'otherwise="inspect", approvals=2, escalate_to="lead", limits=only_known'
    )
    known = (
        "\n\ndef only_known(features: Features, proposed: str, wanted: str) -> None:\n"
        '    if wanted not in ("release", "inspect", "hold"):\n'
        '        raise ValueError("unknown")\n'
    )
    before, marker, after = text.partition("\n\nrelease")
    assert marker
    file.write_text(before + known + marker + after, encoding="utf-8")
    return project


def test_two_people_agree_to_what_one_of_them_changed(asks_two: Path) -> None:
    run = decided(LARGE, code=4)
    (ask,) = data("approvals")
    assert (ask["needed"], ask["agreed"], ask["asked"], ask["round"]) == (2, [], ["care-leads"], 0)
    assert refusal("approve", run, "--reason", "ok", "--by", "ana", code=1)["code"] == "evidence-missing"
    said = ("--reason", "ok", "--evidence", ask["evidence"])
    first = data("approve", run, *said, "--by", "ana")
    assert (first["status"], first["approval"]["agreed"][0]["by"]) == ("waiting", "ana")
    changed = data("change", run, '"hold"', *said, "--by", "bo")
    shown = data("show", run)["approval"]
    assert shown == changed["approval"]
    assert (shown["choice"], shown["round"], shown["changed"]["by"], len(shown["agreed"])) == ("hold", 1, "bo", 1)
    assert refusal("approve", run, *said, "--by", "cy", code=1)["code"] == "evidence-changed"
    done = data("approve", run, "--reason", "ok", "--evidence", shown["evidence"], "--by", "cy")
    assert (done["status"], done["choice"]) == ("acted", "hold")
    assert [row["person"] for row in data("people")["people"]] == ["ana", "bo", "cy"]
    table = steward("people")
    assert "Nobody answered 0 questions" in table.stderr


def test_who_must_name_the_evidence_is_told_where_it_stands(asks_two: Path) -> None:
    asked = steward("decide", "refunds.release", LARGE).stderr
    (ask,) = data("approvals")
    assert f"steward show {ask['decision_id']}" in asked
    assert "steward approve" not in asked
    assert f"--evidence {ask['evidence']}" in steward("show", ask["decision_id"]).stderr
    assert "steward show" in refusal("approve", ask["decision_id"], "--reason", "ok", code=1)["next"]


def test_people_talk_before_they_answer(asks_two: Path) -> None:
    run = decided(LARGE, code=4)
    data("ask", run, "Is it a known customer?", "--by", "ana")
    assert data("approvals")[0]["question"]["question"] == "Is it a known customer?"
    assert "Is it a known customer?" in steward("approvals").stdout
    data("reply", run, "Yes", "--by", "bo")
    data("escalate", run, "--reason", "too much for me", "--by", "ana")
    (ask,) = data("approvals")
    assert ("question" in ask, ask["asked"]) == (False, ["care-leads", "lead"])
    assert refusal("snooze", run, "--reason", "busy", "--until", "2020-01-01", code=1)["code"] == "contract"


def test_a_choice_is_json(asks_two: Path) -> None:
    run = decided(LARGE, code=4)
    assert "quotes" in refusal("change", run, "hold", "--reason", "x", code=1)["next"]


def test_stopped_until_two_people_say_otherwise(project: Path) -> None:
    assert data("stop", "--reason", "smoke", "--by", "ana")[0]["decision"] == "*"
    run = decided()
    assert data("show", run)["status"] == "decided"
    (stop,) = data("stops")
    assert (stop["by"], stop["reason"]) == ("ana", "smoke")
    assert "everything" in steward("stops").stdout
    assert data("resume", "--reason", "clear", "--by", "ana")[0]["resuming_by"] == "ana"
    assert refusal("resume", "--reason", "clear", "--by", "ana", code=1)["code"] == "second-person"
    assert data("resume", "--reason", "clear", "--by", "bo") == []
    assert "Nothing is stopped" in steward("stops").stderr
    data("decide", NAME, '{"refund_id": "r-9", "amount_eur": 1, "orders": 12, "refunds": 1}')
    assert data("show", run)["status"] == "acted"


def test_a_stopped_question_does_not_look_as_if_it_could_be_answered(asks_two: Path) -> None:
    run = decided(LARGE, code=4)
    assert "stopped" not in data("approvals")[0]
    data("stop", "--decision", NAME, "--reason", "smoke", "--by", "ana")
    assert data("approvals")[0]["stopped"] is True
    listed = steward("approvals")
    assert "stopped" in listed.stdout
    assert "steward stops" in listed.stderr
    assert data("show", run)["approval"]["stopped"] is True
    told = steward("show", run).stderr
    assert ("steward stops" in told, "steward approve" in told) == (True, False)


def test_an_unknown_decision_cannot_be_stopped(project: Path) -> None:
    error = refusal("stop", "--decision", "refunds.relese", "--reason", "smoke", code=3)
    assert NAME in error["next"]
