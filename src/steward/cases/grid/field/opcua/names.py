"""What server and client agree on: the namespace, the methods with their arguments, and the codes of refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, NoReturn

from steward.cases.grid.field.orders import Orders
from steward.cases.grid.streams import Setpoint
from steward.errors import Conflict, ContractError, EngineError, StewardError
from steward.records import Receipt

NAMESPACE: Final = "urn:steward:grid"
NAMESPACE_INDEX: Final = 2
"""Where the namespace stands in the server's list: the standard's own and the application's come first."""
ORDERS: Final = "Orders"
"""The object that has the methods."""
LONGEST_KEY: Final = 256

Order = Callable[..., Receipt | None]
AT_KEY: Final[Mapping[str, type]] = MappingProxyType({"at": datetime, "key": str})
ARGUMENTS: Final[Mapping[str, Mapping[str, type]]] = MappingProxyType(
    {
        "Obstacle": {"at": datetime},
        "TakeControl": AT_KEY,
        "HasControl": AT_KEY,
        "ReleaseControl": AT_KEY,
        "Take": {"power_mw": float, **AT_KEY},
        "ReadBack": AT_KEY,
        "Standing": {"at": datetime},
        "Forget": AT_KEY,
    }
)
"""The methods: each gives two strings, a receipt's reference (empty: none) and its power in MW (empty: none)."""

_TOO_LATE, _NO_CONTROL, _NOT_WAITING, _WRONG = (
    "BadInvalidTimestamp",
    "BadInvalidState",
    "BadNotFound",
    "BadInvalidArgument",
)


def orders_of(plant: Orders) -> Mapping[str, Order]:
    """Return what each method calls."""

    def obstacle(at: datetime) -> Receipt | None:
        why = plant.obstacle(at)
        return None if why is None else Receipt(reference=why)

    def take(power_mw: float, at: datetime, key: str) -> Receipt:
        return plant.take(Setpoint(power_mw=power_mw), at=at, key=key)

    def standing(at: datetime) -> Receipt | None:
        return plant.standing(at)

    return {
        "Obstacle": obstacle,
        "TakeControl": lambda at, key: plant.take_control(at, key=key),
        "HasControl": lambda at, key: plant.has_control(at, key=key),
        "ReleaseControl": lambda at, key: plant.release_control(at, key=key),
        "Take": take,
        "ReadBack": lambda at, key: plant.read_back(at, key=key),
        "Standing": standing,
        "Forget": lambda at, key: plant.forget(at, key=key),
    }


def status_of(refusal: StewardError) -> str:
    """Return the name of the status code that says why something was refused.

    Example:
        >>> status_of(EngineError("the hour is over", code="too-late"))
        'BadInvalidTimestamp'
    """
    if isinstance(refusal, ContractError):
        return _WRONG
    known = {"too-late": _TOO_LATE, "no-control": _NO_CONTROL, "not-waiting": _NOT_WAITING}
    return known.get(refusal.code, "BadInternalError")


def refuse(status: str, what: str) -> NoReturn:
    """Raise what a status code stands for, as the plant itself would have raised it.

    Raises:
        StewardError: Always; it can be retried only if nothing is known of whether it took effect.
    """
    if status == _TOO_LATE:
        raise EngineError(f"{what}: the interval is over", code="too-late")
    if status == _NO_CONTROL:
        raise EngineError(f"{what}: nobody has control of the interval", code="no-control")
    if status == _NOT_WAITING:
        raise Conflict(f"{what}: no such set-point waits", code="not-waiting")
    if status in {_WRONG, "BadTypeMismatch", "BadOutOfRange", "BadArgumentsMissing", "BadTooManyArguments"}:
        raise ContractError(f"{what}: the server does not take these arguments", why=status)
    if status in {"BadNotWritable", "BadWriteNotSupported", "BadNodeIdUnknown", "BadNodeIdInvalid"}:
        raise EngineError(f"{what}: the server has nothing to write to there", why=status, code="opcua-refused")
    raise EngineError(f"{what}: the server answered {status}", retryable=True, code="opcua-failed")
