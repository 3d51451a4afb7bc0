"""What it costs to ask who somebody is and whether they may.

``python -m benchmarks.access [--json]``
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks.report import Figure, report
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from steward.access.authorizer import TableAuthorizer
from steward.access.bearer import BearerTokens, Issuer
from steward.access.cedar import CedarAuthorizer
from steward.access.guard import Guard
from steward.access.identity import Assignment, Identity, Kind
from steward.access.permissions import Permission, Role
from steward.clock import SystemClock
from steward.ledger.memory import MemoryLedger

ROUNDS = 9
PLACE = "grid.battery-dispatch"
KEYS: dict[str, RSAKey | ECKey | OKPKey] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}


def fastest_us(call: Callable[[], object], times: int) -> float:
    """Return the least CPU time of a call in microseconds: nothing here waits, and others may use the machine."""
    best = float("inf")
    gc.disable()
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(times):
            call()
        best = min(best, (time.process_time() - start) / times * 1e6)
    gc.enable()
    return best


def awaited(make: Callable[[], object]) -> Callable[[], object]:
    """Return a call that runs a coroutine which never waits, without an event loop around it, as in a hot route."""

    def call() -> object:
        try:
            make().send(None)  # type: ignore[attr-defined]  # a coroutine
        except StopIteration as done:
            return done.value
        raise RuntimeError("it waited")

    return call


async def known() -> tuple[Guard, dict[bytes, bytes], dict[bytes, bytes]]:
    """Return a guard that knows 1,000 services, and what one of them shows: its key, or its session's cookie."""
    guard = await Guard.open(MemoryLedger(), SystemClock())
    once = await guard.bootstrap()
    if once is None:
        raise RuntimeError("a new ledger has no administrator")
    first = await guard.exchange(once.reveal(), id="ada", display="Ada")
    ada = await guard.identify({b"authorization": b"Bearer " + first.secret.reveal().encode()})
    await guard.administration.limit(ada, PLACE, ["grid"])
    key = first
    for number in range(1_000):
        roles = (Assignment(Role.AUDITOR), Assignment(Role.SERVICE, ("grid.*",)))
        service = Identity(
            id=f"s{number}", kind=Kind.SERVICE, display="s", teams=frozenset({"grid", "desk"}), roles=roles
        )
        await guard.administration.enrol(ada, service)
        key = await guard.administration.issue_key(ada, service.id, label="benchmark")
    headers = {b"host": b"localhost", b"authorization": b"Bearer " + key.secret.reveal().encode()}
    opened = await guard.sign_in({**headers, b"sec-fetch-site": b"same-origin"})
    cookie = {b"cookie": opened.set_cookie().partition(";")[0].encode(), b"sec-fetch-site": b"same-origin"}
    return guard, headers, cookie


def token_figures() -> list[Figure]:
    """Return what verifying a token costs, by algorithm: the first time, and when it is remembered."""

    async def fetch(url: str) -> bytes:
        return json.dumps({"keys": [key.as_dict(private=False) for key in KEYS.values()]}).encode()

    now_s = int(datetime.now(UTC).timestamp())
    claims = {"iss": "https://id.example", "aud": "steward", "sub": "7", "exp": now_s + 3_600}
    figures = []
    for algorithm, key in KEYS.items():
        issuer = Issuer(
            name="corp",
            issuer="https://id.example",
            audience="steward",
            jwks_url="https://id.example/jwks",
            algorithms=(algorithm,),
        )
        header = {"alg": algorithm, "kid": key.kid}
        token = jws.serialize_compact(header, json.dumps(claims).encode(), key, algorithms=[algorithm])
        remembering, forgetting = (BearerTokens([issuer], fetch, SystemClock(), most=most) for most in (10, 0))
        for tokens in (remembering, forgetting):
            asyncio.run(tokens.verify(token))
        first = fastest_us(awaited(lambda tokens=forgetting, token=token: tokens.verify(token)), 200)  # type: ignore[misc]  # bound now
        again = fastest_us(awaited(lambda tokens=remembering, token=token: tokens.verify(token)), 2_000)  # type: ignore[misc]  # as above
        figures += [
            Figure(f"{algorithm.lower()}_first_us", first, "us"),
            Figure(f"{algorithm.lower()}_again_us", again, "us"),
        ]
    return figures


def main() -> None:
    """Measure and report."""
    guard, headers, cookie = asyncio.run(known())

    async def request(shown: dict[bytes, bytes]) -> None:
        identity = guard.recognise(shown) or await guard.identify(shown, method="POST", address="192.0.2.7")
        if not guard.allows(identity, Permission.INVOKE, PLACE):
            raise RuntimeError("the benchmark's own caller is refused")

    identity, resource = asyncio.run(guard.identify(headers)), guard.resource(PLACE)
    table, cedar = TableAuthorizer(), CedarAuthorizer()

    def cold() -> None:
        cedar._cached.clear()
        cedar.allows(identity, Permission.INVOKE, resource)

    figures = [
        Figure("key_and_table_us", fastest_us(awaited(lambda: request(headers)), 5_000), "us", 5, below=True),
        Figure("session_and_table_us", fastest_us(awaited(lambda: request(cookie)), 5_000), "us"),
        Figure(
            "table_us", fastest_us(lambda: table.allows(identity, Permission.INVOKE, resource), 10_000), "us", 5, True
        ),
        Figure(
            "cedar_us", fastest_us(lambda: cedar.allows(identity, Permission.INVOKE, resource), 500), "us", 150, True
        ),
        Figure("cedar_new_caller_us", fastest_us(cold, 200), "us", 150, below=True),
        *token_figures(),
    ]
    report("access", figures)


if __name__ == "__main__":
    main()
