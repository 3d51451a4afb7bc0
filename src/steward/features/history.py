"""History: the same windows over tables of past events, for many rows at once, bit for bit as online."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steward.decision.stream import WindowFeature
from steward.errors import DeclarationError
from steward.features.aggregates import AGGREGATES
from steward.features.past import AsKnown, Past, Spine
from steward.features.table import Bool, EventTable, Float64, Int64
from steward.records import FeatureValue

__all__ = ["AsKnown", "EventTable", "FeatureColumn", "Spine", "history"]


@dataclass(frozen=True)
class FeatureColumn:
    """A feature over all rows of a spine.

    Attributes:
        values: Its values: integers for counts, else floats; for a series one row of means per spine row.
        missing: Where there is no value (NaN in ``values``).

    Example:
        >>> import numpy as np
        >>> FeatureColumn(np.array([1.5, np.nan]), np.array([False, True])).as_values()
        [1.5, None]
    """

    values: Int64 | Float64
    missing: Bool

    def as_values(self) -> list[FeatureValue]:
        """Return the values as a run's record has them: ``None`` where missing, series as tuples."""
        rows: list[Any] = self.values.astype(object).tolist()
        if self.values.ndim == 1:
            return [None if missing else value for value, missing in zip(rows, self.missing.tolist(), strict=True)]
        gaps = self.missing.tolist()
        return [
            tuple(None if gap else value for value, gap in zip(row, gap_row, strict=True))
            for row, gap_row in zip(rows, gaps, strict=True)
        ]


def history(
    windows: Sequence[WindowFeature],
    tables: Iterable[EventTable],
    spine: Spine,
    *,
    as_known: AsKnown = "then",
) -> dict[str, FeatureColumn]:
    """Return each window feature for each row of the spine, by name.

    Args:
        windows: The features.
        tables: The events of their streams, one table a stream.
        spine: Whom and when.
        as_known: ``"then"``: only events known at the row's time and not too late, the same bits as online.
            ``"now"``: every event, as it would have been had all been known in time.

    Raises:
        DeclarationError: A stream has no table, or the spine lacks a column.
        ContractError: A value cannot be kept exactly.

    Example:
        >>> from datetime import timedelta
        >>> from steward import Event, Stream
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> table = EventTable(load, ["ES", "ES"], [10, 20], [10, 25], ["a", "b"], {"load_mw": [1.0, 2.0]})
        >>> mean = load.mean("load_mw", over=timedelta(hours=1), name="mean")
        >>> history([mean], [table], Spine({"region": ["ES", "ES"]}, [20, 30]))["mean"].values.tolist()
        [1.0, 1.5]
    """
    by_stream = {table.stream.name: table for table in tables}
    columns: dict[str, FeatureColumn] = {}
    grouped: dict[tuple[str, str | None], list[WindowFeature]] = {}
    for window in windows:
        if window.stream.name not in by_stream:
            raise DeclarationError(
                f"feature {window.name!r} reads stream {window.stream.name!r}, which has no table",
                fix="pass an EventTable of it",
                field="tables",
            )
        grouped.setdefault((window.stream.name, window.at), []).append(window)
    pasts: dict[str, Past] = {}
    for (name, at), its in grouped.items():
        if name not in pasts:
            pasts[name] = Past.of(by_stream[name], as_known)
        query = pasts[name].query(spine, at)
        parts = [[AGGREGATES[window.aggregate](part, window) for window in its] for part in query.parts()]
        for window, of_parts in zip(its, zip(*parts, strict=True), strict=True):
            values, missing = (np.concatenate(column) for column in zip(*of_parts, strict=True))
            columns[window.name] = FeatureColumn(query.as_asked(values), query.as_asked(missing))
    return {window.name: columns[window.name] for window in windows}
