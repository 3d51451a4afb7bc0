"""A company whose gates let people change choices, and what its people do on the page of approvals."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.console.world import Company, Order, Setpoint, dispatch, refund

from steward import Features, Prediction
from steward.errors import ContractError


def hold_or_rest(features: Features, proposed: Setpoint, wanted: Setpoint) -> None:
    """Anything but charging."""
    if wanted is Setpoint.CHARGE:
        raise ContractError("the battery is full", fix="hold it", field="choice")


def less(features: Features, proposed: Order, wanted: Order) -> None:
    """At most what is asked."""
    if wanted.amount_eur > proposed.amount_eur:
        raise ContractError(f"{wanted.amount_eur} EUR is more than asked", fix="pay less", field="choice")


def expected_eur(features: Features, prediction: Prediction[float], choice: Setpoint) -> float:
    """What the model says, if it is done."""
    return prediction.value if choice is Setpoint.DISCHARGE else 0.0


async def opened(root: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Company:
    """Open the company with gates that let people change choices."""
    assert dispatch.gate
    assert refund.gate
    assert dispatch.economics
    ladder = ("duty", "plant-lead")
    economics = replace(dispatch.economics, expected=expected_eur)
    changeable = [
        replace(dispatch, economics=economics, gate=replace(dispatch.gate, limits=hold_or_rest, escalate_to=ladder)),
        replace(refund, gate=replace(refund.gate, limits=less)),
    ]
    monkeypatch.setattr("tests.console.world.dispatch", changeable[0])
    monkeypatch.setattr("tests.console.world.refund", changeable[1])
    return await Company.open(root, **settings)


def text_of(page: httpx.Response) -> str:
    """Return what a page says, without its tags."""
    body: str = page.text[page.text.index("<main") : page.text.index("</main>")]
    spaced = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))
    return str(re.sub(r"\s+([.,;:?]|$)", r"\1", spaced))


def asks(page: httpx.Response) -> list[str]:
    """Return the ids of the list, from top to bottom."""
    return re.findall(r'class="ask" id="ask-([0-9a-f-]{36})"', page.text)


def evidence(page: httpx.Response) -> str:
    """Return what the page's forms say was shown."""
    found = re.search(r'name="evidence" value="(sha256:[0-9a-f]{64})"', page.text)
    assert found
    return str(found[1])


async def look(company: Company, path: str, name: str | None = None) -> httpx.Response:
    async with company.client_of(name) if name else company.client() as browser:
        return await browser.get(path)


async def say(
    company: Company, run: UUID, way: str, name: str | None = None, *, shown: str | None = None, **typed: str
) -> httpx.Response:
    """Send a form as the page has it: with what was shown, and the list that it came from."""
    async with company.client_of(name) if name else company.client() as browser:
        shown = evidence(await browser.get(f"/approvals/{run}")) if shown is None else shown
        return await browser.post(f"/approvals/{run}/{way}", data={"evidence": shown, "tab": "team", **typed})
