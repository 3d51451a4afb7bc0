from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.cases.grid.data.generator import COLUMNS, synthetic_region
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.feed import Feed
from steward.ledger.port import Message

WEEK = synthetic_region("Europe/Madrid", date(2024, 3, 28), 7)  # the clock changes on the 31st
FEED = Feed("region", WEEK, COLUMNS)


def everything(feed: Feed) -> list[Message]:
    return feed.known(WEEK.start - timedelta(days=3), WEEK.end + timedelta(days=3))


@settings(max_examples=25)
@given(st.lists(st.integers(-72, 7 * 24 + 72), max_size=12))
def test_every_value_becomes_known_once_however_time_is_cut(cuts: list[int]) -> None:
    edges = [-72, *sorted(cuts), 7 * 24 + 72]
    parts = [
        message
        for after, until in pairwise(edges)
        for message in FEED.known(WEEK.start + after * HOUR, WEEK.start + until * HOUR)
    ]
    assert Counter(message.id for message in parts) == Counter(message.id for message in everything(FEED))
    assert max(Counter(message.id for message in parts).values()) == 1


def test_all_five_columns_come_whole() -> None:
    counted = Counter(message.topic for message in everything(FEED))
    published = ("grid.published.wind-forecast-mw", "grid.published.solar-forecast-mw")
    assert counted == dict.fromkeys(("grid.load", "grid.price", "grid.temperature", *published), WEEK.rows)


def known_at_of(message: Message) -> datetime:
    local = WEEK.local
    day = local.day_of(message.event_time)
    if message.topic == "grid.price":
        return local.at(day - timedelta(days=1), time(13))
    if message.topic.startswith("grid.published"):
        return local.plan_at(day)
    return message.event_time + HOUR


def test_each_message_says_when_it_was_known() -> None:
    for message in everything(FEED):
        assert message.known_at == known_at_of(message)


def test_nothing_comes_before_it_is_known() -> None:
    for hour in range(0, WEEK.rows, 5):
        until = WEEK.start + hour * HOUR
        assert all(message.known_at <= until for message in FEED.known(WEEK.start - timedelta(days=3), until))


@pytest.mark.parametrize("column", ["load_mw", "price_eur_mwh", "wind_forecast_mw"])
def test_what_is_missing_is_never_sent(column: str) -> None:
    holed = WEEK.columns[column].copy()
    holed[50] = np.nan
    feed = Feed("region", _with(WEEK, column, holed), COLUMNS)
    at = WEEK.start + 50 * HOUR
    lost = {message.id for message in everything(FEED)} - {message.id for message in everything(feed)}
    assert len(lost) == 1
    assert next(iter(lost)).endswith(at.isoformat())


def _with(history: History, column: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> History:
    return replace(history, columns={**history.columns, column: values})


def test_in_a_market_that_settles_afterwards_no_price_is_known_before_its_hour_is_over() -> None:
    feed = Feed("region", WEEK, COLUMNS, prices_ahead=False)
    prices = [message for message in everything(feed) if message.topic == "grid.price"]
    assert len(prices) == WEEK.rows
    assert {message.known_at - message.event_time for message in prices} == {HOUR}
