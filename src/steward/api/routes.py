"""The one table of the hot routes: what the raw front serves and what OpenAPI says are both read from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from steward.access.permissions import Permission
from steward.api.answers import Accepted, EventsTaken, OutcomeIn, OutcomeTaken, StopIn, StopsNow
from steward.api.deciding import decide, decide_batch
from steward.api.doors import DOORS
from steward.api.exchange import Exchange, Reply
from steward.api.headers import KEY_MAX_LENGTH
from steward.api.intake import take_events, take_outcome
from steward.api.service import Service
from steward.api.stopping import resume, stop
from steward.decision.decision import Decision
from steward.decision.lane import Lane
from steward.errors import DeclarationError
from steward.records import Record
from steward.runtime.admission import batch_lane

Handle = Callable[[Service, Exchange], Awaitable[Reply]]
COMMON_PROBLEMS = (400, 401, 403, 408, 413, 415, 421, 422, 429, 431, 500, 503)
"""The problems every route that takes a body may answer with."""

TRACEPARENT = {
    "name": "traceparent",
    "in": "header",
    "description": "W3C trace context; its trace id is kept in the record's provenance. Ignored if not valid.",
    "schema": {"type": "string"},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Same key and event: the same answer, also after a restart. Another event under it: 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX_LENGTH},
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`respond-async`: answer 202 with the decision's location instead of the record.",
    "schema": {"type": "string"},
}


@dataclass(frozen=True)
class Route:
    """A route served in front of FastAPI; always ``POST``.

    Attributes:
        name: Its label in metrics and its operation id.
        path: The path; ``{name}`` stands for a decision's name.
        summary: One sentence for the docs page.
        handle: Serves it. For a path with ``{name}`` it takes the name too.
        answers: The struct of each status that is not a problem; ``None`` where it is an array of records.
        problems: The statuses of the problems it may answer with.
        takes: The struct of its body; ``None`` where the contract of the decision tells, or CloudEvents.
        parameters: Its headers, as OpenAPI says them.
        lane: What is refused first where not everything can be served; of a decision, its own lane counts instead.
            ``None``: it is never refused. That is the stop switch's reserved lane.
        waits_once: Whether all it waits for is its batch; it is then served without a task of its own, and must not use
            what needs one (a timeout, a task group) before that.

    Example:
        >>> [route.path for route in HOT if "{name}" not in route.path]
        ['/v1/events', '/v1/outcomes', '/v1/stops', '/v1/stops/resume']
    """

    name: str
    path: str
    summary: str
    handle: Callable[..., Awaitable[Reply]]
    answers: Mapping[int, type[Any] | None]
    problems: tuple[int, ...] = COMMON_PROBLEMS
    takes: type[Any] | None = None
    parameters: tuple[Mapping[str, Any], ...] = ()
    waits_once: bool = False
    lane: Lane | None = Lane.NORMAL

    @property
    def permission(self) -> Permission:
        """What its callers must be allowed; as the table of doors says."""
        permission = DOORS["POST", self.path].permission
        if permission is None:
            raise DeclarationError(f"the hot route {self.path} is open to anybody", fix="name its permission")
        return permission

    @property
    def of_decision(self) -> bool:
        """Whether there is one for each decision."""
        return "{name}" in self.path

    def lane_of(self, decision: Decision[Any, Any, Any]) -> Lane | None:
        """Return its lane for a decision."""
        return batch_lane(decision.lane) if self.lane is Lane.BATCH else decision.lane

    def at(self, decision: str) -> str:
        """Return its path for a decision."""
        return self.path.replace("{name}", decision)


DECIDE = Route(
    "decide",
    "/v1/decisions/{name}",
    "Decide one event; the answer is in the ledger before it leaves",
    decide,
    answers={200: Record, 202: Accepted},
    problems=(*COMMON_PROBLEMS, 404, 409),
    parameters=(_KEY, _PREFER, TRACEPARENT),
    waits_once=True,
)
DECIDE_BATCH = Route(
    "decide-batch",
    "/v1/decisions/{name}/batch",
    "Decide an array of events; each element of the answer is a record or a problem",
    decide_batch,
    answers={200: None},
    problems=(*COMMON_PROBLEMS, 404),
    parameters=(TRACEPARENT,),
    lane=Lane.BATCH,
)
EVENTS = Route(
    "events",
    "/v1/events",
    "Take CloudEvents: structured, binary or batched",
    take_events,
    answers={202: EventsTaken},
    problems=(*COMMON_PROBLEMS, 404, 409),
)
OUTCOMES = Route(
    "outcomes",
    "/v1/outcomes",
    "Take what really happened after a decision",
    take_outcome,
    answers={200: OutcomeTaken},
    problems=(*COMMON_PROBLEMS, 404, 409),
    takes=OutcomeIn,
)
STOP = Route(
    "stop",
    "/v1/stops",
    "Dispatch nothing more for a decision, or for any; in force at once",
    stop,
    answers={200: StopsNow},
    problems=(*COMMON_PROBLEMS, 404),
    takes=StopIn,
    lane=None,
)
RESUME = Route(
    "resume",
    "/v1/stops/resume",
    "Want a stop to be lifted; it is with the second person",
    resume,
    answers={200: StopsNow},
    problems=(*COMMON_PROBLEMS, 404, 409),
    takes=StopIn,
    lane=None,
)
HOT = (DECIDE, DECIDE_BATCH, EVENTS, OUTCOMES, STOP, RESUME)
"""Every hot route."""
