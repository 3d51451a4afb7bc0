"""Row features: functions of the event and of other features, ordered once and then computed in a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from operator import attrgetter
from typing import Any

from steward.decision.feature import Feature
from steward.errors import DeclarationError, StewardError
from steward.records import FeatureValue


class RowFeatures:
    """Row features in the order in which each finds what it needs.

    Args:
        features: The features, in any order.
        window_names: The names of the window features, which are there before.

    Raises:
        DeclarationError: A name is needed that no feature has, given twice, or needs itself.

    Example:
        >>> def load_change_mw(event: object, load_mw_last: float, load_mw_lag_7d: float) -> float:
        ...     return load_mw_last - load_mw_lag_7d
        >>> row = compile_row_features([Feature(load_change_mw)], ["load_mw_last", "load_mw_lag_7d"])
        >>> values = {"load_mw_last": 25_000.0, "load_mw_lag_7d": 24_000.0}
        >>> row.compute(None, values)
        >>> values["load_change_mw"]
        1000.0
    """

    __slots__ = ("_steps", "names")

    def __init__(self, features: Sequence[Feature[Any]], window_names: Iterable[str]) -> None:
        given = frozenset(window_names)
        by_name = _by_name(features, given)
        self.names = tuple(_ordered(by_name, given))
        self._steps = [_step(by_name[name]) for name in self.names]

    def compute(self, event: object, values: dict[str, FeatureValue]) -> None:
        """Add each feature to ``values``, which holds the window features already.

        Raises:
            StewardError: ``feature-failed``: a feature's function raised; the cause is chained.
        """
        for name, function, needs in self._steps:
            try:
                values[name] = function(event, *[values[need] for need in needs]) if needs else function(event)
            except Exception as error:
                raise _failed(name, error) from error


def compile_row_features(features: Sequence[Feature[Any]], window_names: Iterable[str] = ()) -> RowFeatures:
    """Return the features as an ordered plan; see :class:`RowFeatures`."""
    return RowFeatures(features, window_names)


def _by_name(features: Sequence[Feature[Any]], given: frozenset[str]) -> dict[str, Feature[Any]]:
    by_name: dict[str, Feature[Any]] = {}
    for feature in features:
        if feature.name in by_name or feature.name in given:
            raise DeclarationError(
                f"two features are named {feature.name!r}", fix="pass name=... to one of them", field="features"
            )
        by_name[feature.name] = feature
    return by_name


def _ordered(by_name: Mapping[str, Feature[Any]], given: frozenset[str]) -> Iterable[str]:
    known = [*by_name, *given]
    order: TopologicalSorter[str] = TopologicalSorter()
    for feature in by_name.values():
        for need in feature.needs:
            if need not in by_name and need not in given:
                near = get_close_matches(need, known, n=1)
                raise DeclarationError(
                    f"feature {feature.name!r} needs {need!r}, which is not a feature",
                    fix=f"did you mean {near[0]!r}?" if near else "add it, or rename the parameter",
                    field=f"features.{feature.name}",
                )
        order.add(feature.name, *(need for need in feature.needs if need in by_name))
    try:
        return list(order.static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise DeclarationError(
            f"features need each other in a circle: {cycle}", fix="break the circle", field="features"
        ) from None


def _step(feature: Feature[Any]) -> tuple[str, Callable[..., FeatureValue], tuple[str, ...]]:
    compute = feature.compute or attrgetter(feature.field or feature.name)
    return feature.name, compute, feature.needs


def _failed(name: str, error: Exception) -> StewardError:
    return StewardError(
        f"feature {name!r} could not be computed",
        why=f"{type(error).__name__}: {error}",
        fix="handle missing values (None) in the feature's function",
        code="feature-failed",
        field=name,
    )
