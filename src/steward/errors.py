"""Every error Steward raises, in one tree, split by who must act.

Each error has a stable ``code`` and a message that says what happened, why, and what to do next. HTTP status
codes and exit codes are mapped by the faces (``api``, ``cli``), never here.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class StewardError(Exception):
    """The root of all errors raised on purpose by Steward.

    Args:
        what: What happened, in one sentence.
        why: The cause, if it is not obvious from ``what``.
        fix: What the person who must act can do next.
        code: A stable identifier that programs may compare; defaults to the class's own.
        field: The argument or field concerned, as a dotted path.

    Example:
        >>> error = DeclarationError("gate has no default", fix="pass otherwise=...", field="gate.otherwise")
        >>> error.code, error.field
        ('declaration', 'gate.otherwise')
        >>> print(error)
        gate has no default. Next: pass otherwise=...
    """

    code: str = "error"
    actor: ClassVar[str] = "developer"
    retry_after_s: int | None = None
    """After how long the same call may succeed, where that is known."""

    def __init__(
        self, what: str, *, why: str = "", fix: str = "", code: str | None = None, field: str | None = None
    ) -> None:
        self.what, self.why, self.fix, self.field = what, why, fix, field
        if code is not None:
            self.code = code
        parts = [what.rstrip("."), why.rstrip(".") and f"Why: {why.rstrip('.')}", fix and f"Next: {fix}"]
        super().__init__(". ".join(part for part in parts if part))


class DeclarationError(StewardError):
    """A decision is declared wrongly; its developer must change the code.

    Example:
        >>> DeclarationError("unknown feature 'lod_mw'", fix="did you mean 'load_mw'?").code
        'declaration'
    """

    code = "declaration"


class ContractError(StewardError):
    """An event or outcome does not fit its contract; its sender must change it.

    Example:
        >>> ContractError("load_mw must be <= 100000", field="load_mw").field
        'load_mw'
    """

    code = "contract"
    actor = "sender"


class NotFound(StewardError):
    """The thing asked for does not exist, or not for this caller.

    Example:
        >>> NotFound("no decision is named 'gird.dispatch'").code
        'not-found'
    """

    code = "not-found"
    actor = "caller"


class Conflict(StewardError):
    """Somebody was there first; read the current state and try again.

    Example:
        >>> Conflict("already approved by anna").code
        'conflict'
    """

    code = "conflict"
    actor = "caller"


class Denied(StewardError):
    """The caller may not do this.

    Example:
        >>> Denied("bob may not approve").code
        'denied'
    """

    code = "denied"
    actor = "caller"


class GateExpired(StewardError):
    """The deadline of an approval has passed; its declared default was taken.

    Example:
        >>> GateExpired("the approval expired at 12:10 UTC").code
        'gate-expired'
    """

    code = "gate-expired"
    actor = "business"


class EngineError(StewardError):
    """An engine (database, bus, model server) failed; its operator must act.

    Args:
        what: As for every error.
        retryable: Whether the same call may succeed later without a change.
        held_until: Before this time another try makes no sense, if that is known; aware.
        **details: As for every error.

    Example:
        >>> EngineError("the database is locked", retryable=True).retryable
        True
    """

    code = "engine"
    actor = "operator"

    def __init__(
        self,
        what: str,
        *,
        retryable: bool = False,
        held_until: datetime | None = None,
        why: str = "",
        fix: str = "",
        code: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(what, why=why, fix=fix, code=code, field=field)
        self.retryable, self.held_until = retryable, held_until


class HeldBack(EngineError):
    """A call was not made, to spare a system that is ill or busy; nothing was tried, and it counts as no attempt.

    Example:
        >>> HeldBack("plant-gateway is spared", code="breaker-open").retryable
        True
    """

    code = "held-back"

    def __init__(
        self,
        what: str,
        *,
        held_until: datetime | None = None,
        why: str = "",
        fix: str = "",
        code: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(what, retryable=True, held_until=held_until, why=why, fix=fix, code=code, field=field)


class IntegrityError(EngineError):
    """Stored bytes are not the bytes that were written: a proof, digest or signature does not hold.

    Example:
        >>> IntegrityError("entry 7 was changed").code
        'integrity'
    """

    code = "integrity"


class Distrusted(IntegrityError):
    """A model, policy or release is not vouched for by a key that is trusted, so it is not used.

    Example:
        >>> Distrusted("model 'fraud-gbm' version 3 is not signed").code
        'model-distrusted'
    """

    code = "model-distrusted"
