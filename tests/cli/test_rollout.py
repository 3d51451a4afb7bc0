"""The commands about releases and rollouts, in a project of its own: try another policy, compare, promote, go back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.test_main import SMALL, data, decided, project, refusal, steward

from steward.runtime.project import load_challengers
from steward.runtime.settings import Settings

__all__ = ["project"]  # the fixture
NAME = "refunds.release"
STRICTER = """

def inspect_all(features, prediction):
    return Choice("inspect", reasons=("a person looks at every refund",))


stricter = replace(release_refund, policy=inspect_all)
"""


@pytest.fixture
def challenger(project: Path) -> str:
    """A project with a challenger; return the beginning of its fingerprint."""
    file, settings = project / "refunds.py", project / "steward.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("from steward import", "from dataclasses import replace\n\nfrom steward import", 1))
    file.write_text(file.read_text() + STRICTER)
    settings.write_text(f'{settings.read_text()}\nchallengers = ["refunds.py:stricter"]\n')
    [other] = load_challengers(Settings.load(file=settings))
    return str(other.fingerprint)[:20]


def test_from_a_shadow_to_the_way_back(challenger: str) -> None:
    began = data("rollout", "start", NAME, "--challenger", challenger, "--shadow", "--by", "ana", "--reason", "safer")
    [shadow] = began["rollout"]["shadows"]
    run = decided(SMALL)
    seen = data("rollout", "compare", NAME)
    assert seen["rollout"] == began["rollout"]["name"]
    assert "rollout" not in data("show", run)  # the champion decided, and nothing was shared out
    data("rollout", "share", NAME, "100", "--by", "ana", "--reason", "all of it")
    assert data("show", decided(SMALL))["choice"] == "inspect"
    assert "errors" in steward("rollout", "compare", NAME).stdout
    assert data("rollout", "promote", NAME, "--by", "bo", "--reason", "seen")["champion"] == shadow
    assert data("models", "rollback", NAME, "--by", "bo", "--reason", "too slow")["champion"] != shadow
    kinds = [each["kind"] for each in data("release", "history", NAME)]
    assert kinds[-4:] == ["launched", "launched", "promoted", "rolled_back"]


def test_what_does_not_fit_is_refused(challenger: str) -> None:
    assert refusal("rollout", "compare", "nothing", code=3)["code"] == "not-found"
    wrong = refusal("rollout", "start", NAME, "--challenger", "sha256:00", "--shadow", "--reason", "x", code=3)
    assert wrong["code"] == "release-lacks-code"
    assert refusal("rollout", "promote", NAME, "--by", "bo", "--reason", "x", code=1)["code"] == "no-rollout"
