"""Training sets: a decision's features over past events, as they were known then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from steward.decision.feature import Feature
from steward.decision.stream import WindowFeature
from steward.errors import ContractError
from steward.features.history import AsKnown, EventTable, Spine, history
from steward.features.row import compile_row_features
from steward.records import FeatureValue


def training_set(
    features: Sequence[Feature[Any] | WindowFeature],
    events: Sequence[object],
    at: Sequence[datetime],
    tables: Iterable[EventTable],
    *,
    known_at: Sequence[datetime] | None = None,
    as_known: AsKnown = "then",
) -> dict[str, list[FeatureValue]]:
    """Return each feature for each past decision event, by name, in the order of the declaration.

    Args:
        features: A decision's features: windows and row features.
        events: Its events; keys and ``at`` fields of windows are read from their attributes.
        at: When each was decided: where windows end that name no field.
        tables: The streams' events, one table a stream.
        known_at: What was known when each was decided; by default as of ``at``.
        as_known: ``"then"`` (the bits the decision saw online), or ``"now"`` (with what came too late).

    Raises:
        ContractError: There is not one time for each event.
        StewardError: ``feature-failed``: a row feature's function raised.

    Example:
        >>> from steward import Event, Feature, Stream, hours
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> load = Stream("grid.load", Reading, key="region")
        >>> table = EventTable(load, ["ES"], [0], [0], ["a"], {"load_mw": [24_000.0]})
        >>> features = [load.last("load_mw"), Feature("load_mw")]
        >>> at = datetime.fromisoformat("1970-01-01T01:00Z")
        >>> training_set(features, [Reading(region="ES", load_mw=25_000.0)], [at], [table])
        {'load_mw_last': [24000.0], 'load_mw': [25000.0]}
    """
    for times in (at, known_at):
        if times is not None and len(times) != len(events):
            raise ContractError(f"{len(events)} events need as many times, got {len(times)}", field="at")
    windows = [feature for feature in features if isinstance(feature, WindowFeature)]
    row_features = [feature for feature in features if isinstance(feature, Feature)]
    names = {window.stream.key for window in windows} | {window.at for window in windows if window.at}
    spine = Spine({name: [getattr(event, name) for event in events] for name in names}, at, known_at)
    past = history(windows, tables, spine, as_known=as_known) if windows else {}
    columns = {name: column.as_values() for name, column in past.items()}
    row = compile_row_features(row_features, columns)
    rows: list[dict[str, FeatureValue]] = []
    for position, event in enumerate(events):
        values = {name: column[position] for name, column in columns.items()}
        row.compute(event, values)
        rows.append(values)
    return {feature.name: [values[feature.name] for values in rows] for feature in features}
