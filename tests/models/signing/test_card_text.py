from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.models.artefacts import manifest
from tests.models.signing.test_card import WHOLE

from steward.models.artefact import Artefact
from steward.models.manifest import Trained
from steward.models.signing.card import Card, Metric
from steward.models.signing.card_text import markdown, sections

MADE = replace(
    manifest("linear", "regression", model_json=b"{}"),
    trained=Trained(
        since=datetime(2017, 1, 1, tzinfo=UTC),
        until=datetime(2018, 1, 1, tzinfo=UTC),
        rows=8760,
        data="sha256:" + "d" * 64,
    ),
)
FOUND = Artefact(name="load", version="1", digest="sha256:" + "0" * 64, path=Path("x"), manifest=MADE, files={})


def test_a_card_is_told_whole() -> None:
    text = markdown(WHOLE, FOUND)
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings == ["Purpose", "Not for", "Data", "Metrics", "Limits", "Owner", "Author", "Validation"]
    assert "| weekend | mae\\_mw | 655 |  |  |" in text
    assert "8,760 rows from 2017-01-01 to 2018-01-01" in text
    assert "accepted by ben on 2026-01-02" in text
    assert text.startswith("# load version 1\n\n`sha256:000")


def test_what_is_not_said_has_no_heading() -> None:
    assert [each.heading for each in sections(Card(), replaced_without_training())] == []


def replaced_without_training() -> Artefact:
    made = manifest("linear", "regression", model_json=b"{}")
    return Artefact(name="load", version="1", digest="sha256:00", path=Path("x"), manifest=made, files={})


def test_nothing_in_a_card_is_read_as_markup() -> None:
    bad = Card(
        purpose="<script>alert(1)</script>\n# a heading",
        limits=("[click](javascript:alert(1))", "* a list", "1. a list", "- a list", "--- ", "![x](//evil)"),
        metrics=(Metric(name="a|b", value=1.0, segment="`c` | <td>"),),
        owner="**bold** _and_ ~~gone~~ &amp;",
    )
    text = markdown(bad, FOUND)
    assert "<" not in text
    said = re.sub(r"^\* ", "", text, flags=re.M)
    assert not re.search(r"(?<!\\)[\[\]()*_~]", said)
    assert "## Purpose\n\n* &lt;script&gt;" in text
    assert "* \\# a heading" in text
    assert "* \\* a list" in text
    assert "* 1\\. a list" in text
    assert "* \\- a list" in text
    assert r"| \`c\` \| &lt;td&gt; | a\|b |" in text
    assert "&amp;amp;" in text


@given(st.text(max_size=60))
def test_no_text_opens_an_element_or_a_cell(text: str) -> None:
    row = markdown(Card(metrics=(Metric(name=text or "x", value=1.0),)), FOUND).splitlines()[-1]
    assert "<" not in row
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 6
