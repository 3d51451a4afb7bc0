"""Webhooks: an action whose effect is an HTTP request, signed, safe to repeat, and sent nowhere by mistake.

The body is a CloudEvent and is equal, byte for byte, for every try of one effect, as receivers compare it under its
``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header); what differs from try to try stands in headers. How
long we still wait is told with ``Prefer: wait=`` (RFC 7240, section 4.3), relative, so that no clocks need to agree.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote

import msgspec

from steward import wire
from steward.bus.cloudevents import STRUCTURED, encode_structured
from steward.clock import Clock, SystemClock
from steward.decision.action import Call
from steward.decision.duration import check_duration
from steward.downstream.addresses import Allowed, Target
from steward.downstream.signature import Reveals, sign
from steward.errors import ContractError, DeclarationError, EngineError
from steward.ledger.port import Message
from steward.records import Receipt

if TYPE_CHECKING:
    from steward.downstream.transport import HttpAnswer, Resolve, Transport

RETRYABLE: Final = frozenset({408, 409, 425, 429})
"""Besides all from 500 on. 409 says that the first try is still worked on: to call that a failure could be a lie."""
_MAX_RETRY_AFTER: Final = timedelta(days=1)
_MAX_REFERENCE_LETTERS: Final = 256
_MAX_TOLD_LETTERS: Final = 200
_NO_EFFECT: Final = frozenset({404, 410})
_TRACE_ID: Final = re.compile(r"(?:00-)?((?!0{32})[0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?")


@dataclass(frozen=True)
class _Endpoint:
    """What the kinds of webhook have in common: where, by whom signed, and what may be called."""

    url: str
    _: KW_ONLY
    secret: Reveals | tuple[Reveals, ...] = field(compare=False, repr=False)
    allow: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    timeout: timedelta = timedelta(seconds=10)
    reference: str = "reference"
    ca_file: str | None = None
    name: str = ""
    clock: Clock = field(default_factory=SystemClock, compare=False, repr=False)
    resolve: Resolve | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse what could never be sent."""
        target = Target.of(self.url.replace("{key}", "key"))
        if target.scheme == "http" and not self.allow:
            raise DeclarationError(
                "a webhook over http is not encrypted",
                fix="call https, or name the host or network in allow= if it is yours",
                field="url",
            )
        if not self.secrets or any(isinstance(each, str) or not hasattr(each, "reveal") for each in self.secrets):
            raise DeclarationError(
                "the secret of a webhook is plain text",
                why="it would be printed wherever the declaration is",
                fix='pass secret=FromEnvironment("PLANT_SECRET"), or Secret(...)',
                field="secret",
            )
        check_duration(self.timeout, "timeout")
        if self.timeout <= timedelta(0):
            raise DeclarationError(f"timeout must be positive, got {self.timeout}", field="timeout")
        Allowed.of(list(self.allow))

    @property
    def __name__(self) -> str:
        """What the action is called: its ``name``, else its host and path."""
        target = Target.of(self.url.replace("{key}", "key"))
        return self.name or (target.host + target.path.partition("?")[0]).rstrip("/")

    @property
    def secrets(self) -> tuple[Reveals, ...]:
        """The secrets in force."""
        return self.secret if isinstance(self.secret, tuple) else (self.secret,)

    @cached_property
    def _transport(self) -> Transport:
        import ssl  # noqa: PLC0415 - only where something is sent

        from steward.downstream import transport  # noqa: PLC0415 - as above

        context = None if self.ca_file is None else ssl.create_default_context(cafile=self.ca_file)
        resolve = self.resolve or transport.resolve
        allowed = Allowed.of(list(self.allow))
        return transport.Transport(allowed=allowed, ports=self.ports, context=context, resolve=resolve)

    async def _send(self, method: str, url: str, body: bytes, call: Call) -> HttpAnswer:
        now = self.clock.now()
        within = self.timeout if call.deadline is None else min(self.timeout, call.deadline - now)
        if within <= timedelta(0):
            raise EngineError(f"it is too late to call {self.__name__}", code="deadline-passed")
        headers = [
            ("Accept", "application/json"),
            ("Idempotency-Key", f'"{call.key}"'),
            ("Prefer", f"wait={int(within.total_seconds())}"),
            *sign(self.secrets, _message_id(call.key), now, body),
        ]
        if body:
            headers.append(("Content-Type", STRUCTURED))
        if (trace := _traceparent(call)) is not None:
            headers.append(("traceparent", trace))
        return await self._transport.send(method, Target.of(url), headers, body, within_s=within.total_seconds())

    def _receipt(self, answer: HttpAnswer, call: Call) -> Receipt:
        """Read what the receiver calls what it did; without a word of that, it is known by the key."""
        detail = {"status": str(answer.status)}
        if not answer.body:
            return Receipt(reference=answer.headers.get("location", call.key)[:_MAX_REFERENCE_LETTERS], detail=detail)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            # A login page answers 200, too.
            raise self._unreadable(f"it is {kind or 'of no type'}, not application/json")
        try:
            found: Any = wire.decode(answer.body)
        except ContractError as error:
            raise self._unreadable(error.what) from error
        for part in self.reference.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            return Receipt(reference=call.key, detail=detail)
        if len(str(found)) > _MAX_REFERENCE_LETTERS:
            raise self._unreadable(f"its {self.reference} has more than {_MAX_REFERENCE_LETTERS} letters")
        return Receipt(reference=str(found), detail=detail)

    def _unreadable(self, why: str) -> EngineError:
        return EngineError(
            f"what {self.__name__} answered cannot be read", why=why, retryable=True, code="answer-unreadable"
        )

    def _refusal(self, answer: HttpAnswer) -> EngineError:
        retryable = answer.status in RETRYABLE or answer.status >= 500
        return EngineError(
            f"{self.__name__} answered {answer.status}",
            why=_told(answer),
            fix="declare the URL that it leads to: redirects are not followed" if 300 <= answer.status < 400 else "",
            retryable=retryable,
            held_until=_retry_after(answer, self.clock.now()) if retryable else None,
            code=f"http-{answer.status}",
        )


@dataclass(frozen=True)
class Webhook(_Endpoint):
    """Does something by a signed HTTP POST; for an action's ``do`` and ``undo``.

    It is sent to public ``https`` addresses, and to what ``allow`` names. Any 2xx means that the effect is there; 408,
    409, 425, 429 and from 500 on that another try may help, no earlier than ``Retry-After``; all else is final.

    Args:
        url: Where to. It stands in the declaration, so it holds no secret.
        secret: ``whsec_…`` (Standard Webhooks): ``FromEnvironment("NAME")`` or ``Secret(...)``; two while it is
            exchanged. It is neither shown nor hashed with the declaration.
        allow: Hosts that may have private addresses, and networks that may be called.
        ports: Ports that may be called besides 443 and 80.
        timeout: How long one request may take.
        reference: Where the answer names what was done, as a dotted path; without it, it is known by the key.
        ca_file: The authorities of the receiver's certificate, if they are your own.
        name: What it is called, where several stand in one action.
        idempotent: Whether the receiver honours ``Idempotency-Key``, so that a request may be repeated at once.
        clock: Time, for tests.
        resolve: Finds a host's addresses, for tests.

    Raises:
        DeclarationError: The URL is none that may be called, or the secret is plain text.

    Example:
        >>> from steward.downstream.signature import FromEnvironment
        >>> Webhook("https://plant.example/setpoints", secret=FromEnvironment("PLANT_SECRET"), idempotent=True).__name__
        'plant.example/setpoints'
    """

    _: KW_ONLY
    idempotent: bool = False
    code_version: ClassVar[str] = "1"

    async def __call__(self, choice: object, call: Call) -> Receipt:
        """Send the request and return its receipt.

        Raises:
            EngineError: It failed; ``retryable`` and ``held_until`` tell whether and when another try may help.
            DeclarationError: The host has an address that may not be called; nothing was sent.
            TimeoutError: There was no whole answer in time.
        """
        answer = await self._send("POST", self.url, event_of(choice, call), call)
        if 200 <= answer.status < 300:
            return self._receipt(answer, call)
        raise self._refusal(answer)


@dataclass(frozen=True)
class ReadBack(_Endpoint):
    """Reads with a signed HTTP GET whether an effect is there; for an action's ``verify``.

    Any 2xx means that it is; 404 and 410 that it is not; all else that it is not known. The arguments are those of
    :class:`Webhook`; ``{key}`` in the URL stands for the effect's idempotency key.

    Example:
        >>> from steward.downstream.signature import FromEnvironment
        >>> ReadBack("https://plant.example/setpoints/{key}", secret=FromEnvironment("PLANT_SECRET")).idempotent
        True
    """

    code_version: ClassVar[str] = "1"

    @property
    def idempotent(self) -> bool:
        """Reading changes nothing."""
        return True

    async def __call__(self, choice: object, call: Call) -> Receipt | None:
        """Return the receipt if the effect is there, ``None`` if it is not; raises as :class:`Webhook`."""
        url = self.url.replace("{key}", quote(call.key, safe=""))
        answer = await self._send("GET", url, b"", call)
        if 200 <= answer.status < 300:
            return self._receipt(answer, call)
        if answer.status in _NO_EFFECT:
            return None
        raise self._refusal(answer)


def event_of(choice: object, call: Call) -> bytes:
    """Return the CloudEvent that asks for an effect; equal for each of its tries.

    Example:
        >>> from uuid import UUID
        >>> from steward.decision.feature import Features
        >>> call = Call(decision_id=UUID(int=1), decision="pay.release", key="pay.release/1", features=Features(),
        ...             decided_at=datetime(2026, 1, 1, tzinfo=UTC))
        >>> msgspec.json.decode(event_of("release", call))["type"]
        'pay.release.do'
    """
    data: dict[str, object] = {
        "decision_id": call.decision_id,
        "decision": call.decision,
        "key": call.key,
        "decided_at": call.decided_at,
        "choice": choice,
    }
    if call.undoes is not None:
        data["undoes"] = call.undoes
    if call.results:
        data["results"] = dict(call.results)
    verb = "do" if call.undoes is None else "undo"
    return encode_structured(
        Message(
            topic=f"{call.decision}.{verb}",
            key=str(call.decision_id),
            source="urn:steward",
            id=call.key,
            data=_encode(data),
            version=1,
            event_time=call.decided_at,
            known_at=call.decided_at,
            trace=_traceparent(call),
        )
    )


def _other(value: Any) -> object:
    """Encode what JSON does not know: pydantic models and numpy scalars."""
    for method in ("model_dump", "item"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"a {type(value).__name__} cannot be sent; choose plain data or a struct, dataclass or model")


_encode = msgspec.json.Encoder(enc_hook=_other).encode


def _message_id(key: str) -> str:
    return "msg_" + sha256(key.encode()).hexdigest()[:32]


def _traceparent(call: Call) -> str | None:
    # What came over the bus brings the whole traceparent, what came over HTTP its trace id.
    found = _TRACE_ID.fullmatch(call.trace_id or "")
    return found and f"00-{found[1]}-{sha256(call.key.encode()).hexdigest()[:16]}-01"


def _retry_after(answer: HttpAnswer, now: datetime) -> datetime | None:
    """Read ``Retry-After``, seconds or a date (RFC 9110, section 10.2.3); what cannot be read is left out."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return now + min(timedelta(seconds=int(text[:9])), _MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(until, now + _MAX_RETRY_AFTER) if until > now else None


def _told(answer: HttpAnswer) -> str:
    """Return what a problem document (RFC 9457) says, cut and printable; other bodies are not repeated."""
    if not answer.headers.get("content-type", "").lower().startswith("application/problem+json"):
        return ""
    try:
        problem = wire.decode(answer.body)
    except ContractError:
        return ""
    said = [problem.get(name) for name in ("title", "detail")] if isinstance(problem, dict) else []
    text = ": ".join(each for each in said if isinstance(each, str))
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_MAX_TOLD_LETTERS]
