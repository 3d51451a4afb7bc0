"""The stop switch over HTTP: raw routes, so that nothing slow stands between a person and the stop."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from steward.access.permissions import Permission
from steward.api.answers import StopIn, StopsNow
from steward.api.entrance import Caller
from steward.api.exchange import Exchange, Reply, strictly
from steward.api.service import Service
from steward.errors import Denied
from steward.runtime.runtime import Runtime
from steward.runtime.stops import EVERY

_decode = msgspec.json.Decoder(StopIn).decode


async def stop(service: Service, exchange: Exchange) -> Reply:
    """Dispatch nothing more for a decision, or for any; answer with the stops that stand."""
    await press(service.runtime, exchange.caller, strictly(_decode, await exchange.json()))
    return _standing(service, exchange.caller)


async def resume(service: Service, exchange: Exchange) -> Reply:
    """Want a stop to be lifted; answer with the stops that stand."""
    await lift(service.runtime, exchange.caller, strictly(_decode, await exchange.json()))
    return _standing(service, exchange.caller)


def may_stop(caller: Caller, decision: str) -> bool:
    """Tell whether somebody may stop a decision, or every one: what comes to be later, too."""
    return caller.may(Permission.STOP, _named(decision))


def may_lift(runtime: Runtime, caller: Caller, decision: str) -> bool:
    """Tell whether somebody may want a stop to be lifted.

    Whoever may stop may stop all, which is the safe side; what they cannot see, they cannot judge to be safe.
    """
    sees = decision != EVERY or all(caller.may(Permission.STOP, name) for name in runtime.decisions)
    return sees and may_stop(caller, decision)


async def press(runtime: Runtime, caller: Caller, sent: StopIn) -> None:
    """Stop what a person names.

    Raises:
        NotFound: There is no such decision, or not for the caller.
        Denied: They may not, or are no person.
        EngineError: It cannot be written. In this process it is in force all the same.
    """
    caller.require(Permission.STOP, _named(sent.decision))
    await runtime.stop(sent.decision, by=caller.person(sent.by), reason=sent.reason)


async def lift(runtime: Runtime, caller: Caller, sent: StopIn) -> None:
    """Want a stop to be lifted, for a person; with the second one it is.

    Raises:
        NotFound: There is no such decision, or not for the caller.
        Conflict: It does not stand, or the same person wants it twice.
        Denied: They may not, or are no person.
        EngineError: It cannot be written; it stands on.
    """
    caller.require(Permission.STOP, _named(sent.decision))
    by = caller.person(sent.by)
    if not may_lift(runtime, caller, sent.decision):
        raise Denied(
            f"{by} does not see every decision that would go on",
            fix="let two people lift it who see all teams' decisions",
            code="denied",
        )
    await runtime.resume(sent.decision, by=by, reason=sent.reason)


def stops_for(service: Service, readable: Collection[str] | None) -> StopsNow:
    """Return the stops of some decisions, and those of all; of every decision if ``readable`` is ``None``."""
    standing = service.runtime.stops.standing()
    return StopsNow(
        stops=[each for each in standing if readable is None or each.decision == EVERY or each.decision in readable]
    )


def _named(decision: str) -> str:
    """Return what the permission is asked for: all decisions together are the installation as a whole."""
    return "" if decision == EVERY else decision


def _standing(service: Service, caller: Caller) -> Reply:
    return Reply(200, msgspec.json.encode(stops_for(service, caller.readable())))
