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
from steward.runtime.stops import EVERY

_decode = msgspec.json.Decoder(StopIn).decode


async def stop(service: Service, exchange: Exchange) -> Reply:
    """Dispatch nothing more for a decision, or for any; answer with the stops that stand."""
    sent, by = await _sent(exchange)
    await service.runtime.stop(sent.decision, by=by, reason=sent.reason)
    return _standing(service, exchange.caller)


async def resume(service: Service, exchange: Exchange) -> Reply:
    """Want a stop to be lifted; answer with the stops that stand."""
    sent, by = await _sent(exchange)
    if sent.decision == EVERY and not all(exchange.caller.may(Permission.STOP, n) for n in service.runtime.decisions):
        # Whoever may stop may stop all, which is the safe side; what they cannot see, they cannot judge to be safe.
        raise Denied(
            f"{by} does not see every decision that would go on",
            fix="let two people lift it who see all teams' decisions",
            code="denied",
        )
    await service.runtime.resume(sent.decision, by=by, reason=sent.reason)
    return _standing(service, exchange.caller)


def stops_for(service: Service, readable: Collection[str] | None) -> StopsNow:
    """Return the stops of some decisions, and those of all; of every decision if ``readable`` is ``None``."""
    standing = service.runtime.stops.standing()
    return StopsNow(
        stops=[each for each in standing if readable is None or each.decision == EVERY or each.decision in readable]
    )


async def _sent(exchange: Exchange) -> tuple[StopIn, str]:
    sent = strictly(_decode, await exchange.json())
    exchange.caller.require(Permission.STOP, "" if sent.decision == EVERY else sent.decision)
    return sent, exchange.caller.person(sent.by)


def _standing(service: Service, caller: Caller) -> Reply:
    return Reply(200, msgspec.json.encode(stops_for(service, caller.readable())))
