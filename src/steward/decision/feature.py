"""Features declared: row features (functions of the event) and what a policy sees of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, Generic, TypeVar, overload

from steward.errors import DeclarationError
from steward.records import FeatureValue

E_contra = TypeVar("E_contra", contravariant=True)


def seconds(n: float) -> timedelta:
    """Return ``n`` seconds."""
    return timedelta(seconds=n)


def minutes(n: float) -> timedelta:
    """Return ``n`` minutes."""
    return timedelta(minutes=n)


def hours(n: float) -> timedelta:
    """Return ``n`` hours."""
    return timedelta(hours=n)


def days(n: float) -> timedelta:
    """Return ``n`` times 24 hours."""
    return timedelta(days=n)


class Features(dict[str, FeatureValue]):
    """The features of one run, by name, with typed access.

    Example:
        >>> features = Features(load_mw_last=24_500.0, region="ES", load_mw_lag_7d=None)
        >>> features.number("load_mw_last")
        24500.0
        >>> features.number("load_mw_lag_7d", default=0.0)
        0.0
    """

    __slots__ = ()

    def number(self, name: str, *, default: float | None = None) -> float:
        """Return a numeric feature as a float; raise ``LookupError`` if it has no value and no default is given."""
        value = self[name]
        if isinstance(value, (float, int)):
            return float(value)
        if value is None and default is not None:
            return default
        raise LookupError(f"feature {name!r} is {value!r}, not a number; pass default=... if it may be missing")

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a text feature; raise ``LookupError`` if it has no value and no default is given."""
        value = self[name]
        if isinstance(value, str):
            return value
        if value is None and default is not None:
            return default
        raise LookupError(f"feature {name!r} is {value!r}, not a text; pass default=... if it may be missing")

    def flag(self, name: str) -> bool:
        """Return a true-or-false feature; raise ``LookupError`` if it is something else."""
        value = self[name]
        if isinstance(value, bool):
            return value
        raise LookupError(f"feature {name!r} is {value!r}, not true or false")

    def series(self, name: str) -> tuple[float | None, ...]:
        """Return a series feature, oldest first; raise ``LookupError`` if it is something else."""
        value = self[name]
        if isinstance(value, tuple):
            return value
        raise LookupError(f"feature {name!r} is {value!r}, not a series")


@dataclass(frozen=True, init=False)
class Feature(Generic[E_contra]):
    """A row feature: a plain function of the event and, by parameter name, of other features.

    Args:
        source: A function whose first parameter is the event and whose further parameters are names of other
            features; or the name of a field of the event.
        name: The feature's name; by default the function's or the field's.

    Example:
        >>> def is_weekend(event: object, weekday: int) -> bool:
        ...     return weekday >= 5
        >>> Feature(is_weekend).needs
        ('weekday',)
        >>> Feature("amount_eur").name
        'amount_eur'
    """

    name: str
    compute: Callable[..., FeatureValue] | None
    field: str | None
    needs: tuple[str, ...]

    @overload
    def __init__(self: Feature[Any], source: str, *, name: str | None = None) -> None: ...

    @overload
    def __init__(
        self, source: Callable[Concatenate[E_contra, ...], FeatureValue], *, name: str | None = None
    ) -> None: ...

    def __init__(
        self,
        source: Callable[Concatenate[E_contra, ...], FeatureValue] | str,
        *,
        name: str | None = None,
    ) -> None:
        compute = None if isinstance(source, str) else source
        own_name = source if isinstance(source, str) else getattr(source, "__name__", "")
        if compute is not None and own_name == "<lambda>" and name is None:
            raise DeclarationError("a lambda has no name to call the feature by", fix="use a def, or pass name=...")
        object.__setattr__(self, "name", name or own_name)
        object.__setattr__(self, "compute", compute)
        object.__setattr__(self, "field", source if isinstance(source, str) else None)
        object.__setattr__(self, "needs", () if compute is None else _names_needed(compute))
        if not self.name.isidentifier():
            raise DeclarationError(f"{self.name!r} is not a name for a feature", fix="use letters, digits and _")


def _names_needed(compute: Callable[..., FeatureValue]) -> tuple[str, ...]:
    parameters = list(inspect.signature(compute).parameters.values())
    if not parameters or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        raise DeclarationError(
            f"feature function {getattr(compute, '__name__', compute)!r} must name its parameters",
            fix="take the event first, then other features by name: def f(event, load_mw_last)",
        )
    return tuple(p.name for p in parameters[1:])
