"""Charts as values, and the tables behind them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from steward.console import made_up
from steward.console.charts.figures import Band, Figure, Line, Panel
from steward.errors import ContractError

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_the_table_has_every_series_of_every_panel() -> None:
    band = Band(name="interval", low=[1.0], high=[2.0])
    panels = [Panel(label="MW", series=[band]), Panel(label="EUR", series=[Line(name="price", values=[3.0])])]
    assert Figure(name="f", title="F", x=[NOON], panels=panels).sheet().plain_rows() == [
        {"x": "2026-07-01T12:00:00+00:00", "interval: low": 1.0, "interval: high": 2.0, "price": 3.0}
    ]


def test_bubbles_have_a_table_too() -> None:
    assert made_up.bubbles().sheet().plain_rows()[0] == {
        "name": "Peaker start", "x": 4, "y": 22_000, "size": 88_000, "group": "high risk",
    }  # fmt: skip


@pytest.mark.parametrize("figure", [made_up.day(), made_up.bubbles()], ids=["panels", "bubbles"])
def test_the_order_of_a_pages_table_is_not_that_of_its_charts(figure: Figure) -> None:
    with pytest.raises(ContractError, match="one cannot sort by"):
        figure.sheet().arranged({"sort": "x"})
    assert not any(column.can_sort for column in figure.sheet().columns)
