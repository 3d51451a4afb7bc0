"""What comes into a policy: features by name and the prediction, each of its kind and in its domain.

The engine takes a text where a number is meant for a test that does not hold and goes on to the next row, which is how
a wrong feature becomes a wrong payment. Here it is an error that names the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from steward.errors import ContractError, StewardError
from steward.policies.domains import Domain
from steward.policies.kinds import Kind
from steward.policies.policy import Policy
from steward.policies.syntax import MOST
from steward.records import Prediction

FROM_PREDICTION: Final = ("prediction", "confidence", "interval", "labels")
"""What a policy reads of the prediction, beside the features by their names."""
NEXT_TO_ZERO: Final = 1e-15
"""What is nearer to zero than this is zero: the engine's decimals end there."""
_CLASSES: Final = {Kind.TEXT: str, Kind.FLAG: bool, Kind.LIST: list}
Read = Callable[[Mapping[str, Any], Prediction[Any]], dict[str, Any]]


def reader(policy: Policy) -> Read:
    """Return what takes a policy's inputs from features and prediction.

    What it returns raises ``ContractError`` for a value of another kind and ``StewardError`` for one outside the
    schema; code ``policy-input`` for both.
    """
    numbers: list[tuple[str, float, float, Domain | None]] = []
    others: list[tuple[str, Kind, type, frozenset[Any] | None, Domain | None]] = []
    deep: list[tuple[str, list[str], Kind, Domain | None]] = []
    for path in policy.inputs:
        kind, domain = policy.kinds[path], policy.domains.get(path)
        if "." in path:
            deep.append((path, path.split("."), kind, domain))
        elif kind is Kind.NUMBER:
            numbers.append((path, *_bounds(domain), domain))
        else:
            values = None if domain is None or domain.values is None else frozenset(domain.values)
            others.append((path, kind, _CLASSES[kind], values, domain))

    def read(features: Mapping[str, Any], prediction: Prediction[Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for path, low, high, domain in numbers:
            value = features[path] if path in features else of_prediction(path, prediction)
            if value.__class__ is float and low <= value <= high and not 0 < abs(value) < NEXT_TO_ZERO:
                values[path] = value
            else:
                values[path] = checked(path, value, Kind.NUMBER, domain)
        for path, kind, plain, known, domain in others:
            value = features[path] if path in features else of_prediction(path, prediction)
            if value.__class__ is plain and (known is None or value in known):
                values[path] = value
            else:
                values[path] = checked(path, value, kind, domain)
        for path, way, kind, domain in deep:
            put(values, way, checked(path, _at(way, features, prediction), kind, domain))
        return values

    return read


def put(values: dict[str, Any], way: list[str], value: Any) -> None:
    """Write a value at a path of names, making the objects on the way."""
    for name in way[:-1]:
        values = values.setdefault(name, {})
    values[way[-1]] = value


def of_prediction(name: str, prediction: Prediction[Any]) -> Any:
    """Return what a name stands for that is no feature; ``None`` where the prediction does not tell."""
    if name == "prediction":
        return prediction.value
    return getattr(prediction, name, None) if name in FROM_PREDICTION else None


def _at(way: list[str], features: Mapping[str, Any], prediction: Prediction[Any]) -> Any:
    value = features[way[0]] if way[0] in features else of_prediction(way[0], prediction)
    for name in way[1:]:
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return value


def _bounds(domain: Domain | None) -> tuple[float, float]:
    """Return the least and greatest float that need no second look."""
    low, high = float(-MOST), float(MOST)
    if domain is None:
        return low, high
    if domain.values is not None or domain.whole:
        return 1.0, 0.0  # none: each is looked at
    if domain.low is not None:
        low = max(low, math.nextafter(float(domain.low), math.inf) if domain.low_open else float(domain.low))
    if domain.high is not None:
        high = min(high, math.nextafter(float(domain.high), -math.inf) if domain.high_open else float(domain.high))
    return low, high


def checked(path: str, value: Any, kind: Kind, domain: Domain | None) -> Any:
    """Return a value as JSON has it, if it is of the kind and in the domain.

    Raises:
        ContractError: It is of another kind.
        StewardError: It is outside the domain, or too large.

    Example:
        >>> checked("amount_eur", Decimal("12.5"), Kind.NUMBER, None)
        12.5
    """
    if value is None:
        if domain is not None and not domain.may_miss:
            raise _outside(path, "it is missing", "the policy's schema requires it")
        return None
    value = _as_float(path, value) if kind is Kind.NUMBER else _as_kind(path, value, kind)
    if domain is not None and not isinstance(value, list):
        exact = value if isinstance(value, str | bool) else Decimal(repr(value))
        if not domain.holds(exact):
            raise _outside(path, f"it is {value!r}", "the policy's schema says otherwise")
    return value


def _as_float(path: str, given: Any) -> float:
    value = given.value if isinstance(given, Enum) else given
    if hasattr(value, "item"):
        value = value.item()  # a scalar of numpy
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _wrong_kind(path, given, Kind.NUMBER)
    if not -MOST <= value <= MOST:
        raise _outside(path, f"it is {value}", f"policies compute with numbers up to {MOST:.0e}")
    number = float(value)
    return 0.0 if abs(number) < NEXT_TO_ZERO else number


def _as_kind(path: str, given: Any, kind: Kind) -> Any:
    value = given.value if isinstance(given, Enum) else given
    if kind is Kind.TEXT and isinstance(value, date | datetime):
        return value.isoformat()
    if kind is Kind.TEXT and isinstance(value, str):
        return str(value)
    if kind is Kind.LIST and isinstance(value, tuple | frozenset | list):
        return list(value)
    if kind is Kind.FLAG and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise _wrong_kind(path, given, kind)


def _wrong_kind(path: str, value: object, kind: Kind) -> ContractError:
    return ContractError(
        f"the policy's input {path!r} is {value!r}, not a {kind}",
        why="the engine would take it for a test that does not hold",
        fix="mend the feature, or the policy",
        field=path,
        code="policy-input",
    )


def _outside(path: str, what: str, why: str) -> StewardError:
    fix = "mend the feature, or widen the schema"
    return StewardError(f"the policy's input {path!r} is not allowed: {what}", why=why, fix=fix, code="policy-input")
