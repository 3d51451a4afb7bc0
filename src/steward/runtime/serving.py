"""Which engine answers for a declared model: what the operator's file says, as far as its placement allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from steward.clock import Clock, SystemClock
from steward.decision.decision import Decision
from steward.decision.model import Model
from steward.decision.placement import NOWHERE_ELSE
from steward.downstream.breaker import Breaker
from steward.downstream.bulkhead import Bulkhead
from steward.errors import DeclarationError, NotFound
from steward.ledger.port import Commit, Ledger
from steward.models.artefact import Artefact
from steward.models.loading import check_fit
from steward.models.port import LoadedModel
from steward.models.registry import Registry
from steward.runtime.engines import engine_of
from steward.runtime.settings import Settings
from steward.serving.budget import MICRO, DayBudget, Purse
from steward.serving.endpoints import NO_ENDPOINTS, Endpoint, Route, Table
from steward.serving.gateway import Gateway, Hop
from steward.serving.inprocess import LOOP_BELOW_US, InProcess, Place, measure
from steward.serving.inprocess import NAME as IN_PROCESS
from steward.serving.model import ServedModel
from steward.serving.port import Answered, Served
from steward.serving.prompt import KIND, Chat, check_returns

AnyDecision = Decision[Any, Any, Any]


class Serving:
    """Makes the models of decisions ready, each behind the engines that may answer for it.

    Args:
        table: The operator's file.
        registry: Where models come from.
        clock: Time; where it is virtual, no model is moved to workers by itself.
        ledger: Where budgets are kept.
    """

    def __init__(self, table: Table, registry: Registry, clock: Clock, ledger: Ledger) -> None:
        self._table, self._registry, self._clock, self._ledger = table, registry, clock, ledger
        self._gateways: list[Gateway] = []

    @classmethod
    def of(cls, settings: Settings, registry: Registry, clock: Clock, ledger: Ledger) -> Serving:
        """Read the file that the settings name.

        Raises:
            DeclarationError: It does not fit, or an endpoint's URL names no engine.
        """
        table = Table.read(settings.path(settings.serving)) if settings.serving else NO_ENDPOINTS
        for endpoint in table.endpoints.values():
            engine_of("serving", endpoint.url)
        return cls(table, registry, clock, ledger)

    def load(self, decision: AnyDecision, model: Model[Any]) -> LoadedModel:
        """Return a declared model, ready to answer here or behind its engines.

        Raises:
            DeclarationError: It does not fit, or its placement leaves no engine (``code`` is ``placement-denied``).
            NotFound: It is not registered.
            IntegrityError: It is not what was registered.
        """
        route = self._table.models.get(model.name)
        if route is None or not _is_asked(decision, model):
            return self._loaded(decision, model)
        artefact = self._registry.fetch(model.name, model.version)
        if artefact.manifest.kind == KIND:
            return self._chat(decision, model, artefact, route)
        local = self._registry.load(model)
        # What was registered is what is asked for, whatever is registered meanwhile.
        if local.digest != artefact.digest:
            artefact = self._registry.fetch(model.name, local.digest)
        return self._served(decision, model, local, route, artefact)

    def at_once(self, decision: AnyDecision) -> int:
        """Return how many batches of a decision may be under way: more than one, if it waits for somebody else."""
        routes = [route for model in _asked(decision) if (route := self._table.models.get(model.name)) is not None]
        places = [self._table.endpoints[to].at_once for route in routes for to in route.to if to != IN_PROCESS]
        return max(places, default=1)

    async def close(self) -> None:
        """Close every engine that was opened."""
        gateways, self._gateways = self._gateways, []
        await asyncio.gather(*(gateway.close() for gateway in gateways))

    def _loaded(self, decision: AnyDecision, model: Model[Any]) -> LoadedModel:
        """Return a model of this process; what takes long is moved off the loop."""
        try:
            local = self._registry.load(model)
        except NotFound as error:
            if error.field != "kind" or repr(KIND) not in error.what:
                raise
            raise DeclarationError(
                f"the chat {model.name!r} has no endpoint",
                why="the file of endpoints does not say who answers for it, or it is part of a pipeline",
                fix=f"write [models.{model.name}] to = [...] in the file that the setting serving names",
                field="serving",
            ) from error
        if not isinstance(self._clock, SystemClock) or not _is_asked(decision, model):
            return local
        if getattr(local, "task", "") not in ("regression", "binary", "multiclass"):
            return local
        measured = measure(local)
        if measured.one_us <= LOOP_BELOW_US:
            return local
        place = measured.place
        artefact = self._registry.fetch(model.name, local.digest) if place is Place.PROCESSES else None
        return self._served(decision, model, local, Route(place=place.value), artefact)

    def _chat(self, decision: AnyDecision, model: Model[Any], artefact: Artefact, route: Route) -> LoadedModel:
        chat = Chat.of(artefact.files)
        check_returns(chat, model.returns, model.name)

        def engine(name: str, endpoint: Endpoint) -> Hop:
            cls = engine_of("serving", endpoint.url)
            if not endpoint.engine.startswith("openai"):
                raise _no_engine(model.name, name, "a chat is answered by openai+http(s)://…")
            made = cls.open(cls.load(), name, endpoint, model=model.name, chat=chat, returns=model.returns)
            return self._hop(made, endpoint, made.worst_micro)

        served = ServedModel(
            self._gateway(decision, model, route, inputs=chat.inputs, engine=engine),
            name=artefact.name,
            version=artefact.version,
            digest=artefact.digest,
            inputs=chat.inputs,
            task="chat",
            within_s=route.within_ms / 1000,
        )
        check_fit(model, served)
        return served

    def _served(
        self, decision: AnyDecision, model: Model[Any], local: LoadedModel, route: Route, artefact: Artefact | None
    ) -> LoadedModel:
        def engine(name: str, endpoint: Endpoint) -> Hop:
            cls = engine_of("serving", endpoint.url)
            if not endpoint.engine.startswith("oip"):
                raise _no_engine(model.name, name, "a model of numbers is answered by oip+http(s)://…")
            price = endpoint.price
            worst = None if price is None else lambda asked: price.micro(0, 0)
            return self._hop(cls.open(cls.load(), name, endpoint, model=local), endpoint, worst)

        place = None if route.place == "auto" else Place(route.place)

        async def here() -> Served[Any]:
            return await InProcess.open(
                local,
                artefact=artefact,
                place=place,
                workers=route.workers,
                budget=timedelta(milliseconds=route.batch_ms),
            )

        inputs = tuple(model.inputs or local.inputs)
        gateway = self._gateway(
            decision, model, route, inputs=inputs, engine=engine, here=Hop(_Later(IN_PROCESS, here)), task=local.task
        )
        return ServedModel.of(local, gateway, within_s=route.within_ms / 1000)

    def _gateway(
        self,
        decision: AnyDecision,
        model: Model[Any],
        route: Route,
        *,
        inputs: Sequence[str],
        engine: Callable[[str, Endpoint], Hop],
        here: Hop | None = None,
        task: str = "",
    ) -> Gateway:
        hops: list[Hop] = []
        denied: list[str] = []
        placement = decision.placement or NOWHERE_ELSE
        sent = tuple(model.inputs or inputs)
        for name in route.to:
            if name == IN_PROCESS:
                if here is None:
                    raise _no_engine(model.name, name, "a chat has no engine in this process")
                hops.append(here)
                continue
            endpoint = self._table.endpoints[name]
            why = placement.denies(
                sent, decision.risk, region=endpoint.region, managed=endpoint.managed, trusted=endpoint.risk
            )
            if why is None:
                hops.append(engine(name, endpoint))
            elif not hops:
                denied.append(f"{name}: {why}")
        if not hops:
            raise DeclarationError(
                f"no engine may answer for {model.name!r} in {decision.name!r}",
                why="; ".join(denied),
                fix="serve it by an engine of yours, or declare the decision's placement",
                code="placement-denied",
                field="placement",
            )
        gateway = Gateway(
            model.name,
            hops,
            each_s=None if route.each_ms is None else route.each_ms / 1000,
            escalate_below=route.escalate_below,
            spill_above=route.spill_above,
            purse=self._purse(decision, model, route),
            denied=denied,
            sure=_probability if task == "binary" else None,
        )
        self._gateways.append(gateway)
        return gateway

    def _hop(self, engine: Served[Any], endpoint: Endpoint, worst: Callable[[Sequence[Any]], int] | None) -> Hop:
        breaker = Breaker(
            failures=endpoint.failures, open_for=timedelta(seconds=endpoint.spared_s), now=self._clock.now
        )
        bulkhead = Bulkhead(at_once=endpoint.at_once, waiting=endpoint.waiting)
        return Hop(engine, breaker, bulkhead, worst if endpoint.price is not None else None)

    def _purse(self, decision: AnyDecision, model: Model[Any], route: Route) -> Purse | None:
        if route.day_budget is None:
            return None
        limit = int(route.day_budget * MICRO)
        return DayBudget(f"spent/{decision.name}/{model.name}", limit, self._clock.now, self._keep, self._kept)

    async def _keep(self, totals: Mapping[str, int]) -> None:
        await self._ledger.append(Commit(cursors=totals))

    async def _kept(self, name: str) -> int:
        return await self._ledger.cursor(name)


class _Later:
    """An engine that is opened by its first question."""

    def __init__(self, name: str, open_engine: Callable[[], Awaitable[Served[Any]]]) -> None:
        self.name, self._open = name, open_engine
        self._engine: Served[Any] | None = None
        self._opening = asyncio.Lock()

    @property
    def load(self) -> float:
        return 0.0 if self._engine is None else self._engine.load

    async def answer(self, questions: Sequence[Any], *, within_s: float) -> Sequence[Any]:
        engine = self._engine or await self._opened()
        return await engine.answer(questions, within_s=within_s)

    async def _opened(self) -> Served[Any]:
        async with self._opening:
            if self._engine is None:
                self._engine = await self._open()
            return self._engine

    async def close(self) -> None:
        async with self._opening:
            if self._engine is not None:
                await self._engine.close()


def _is_asked(decision: AnyDecision, model: Model[Any]) -> bool:
    """Tell whether the loop itself asks a model: skills ask theirs, and one with a calibrator is asked by that."""
    return any(each.name == model.name and each.calibration is None for each in _asked(decision))


def _asked(decision: AnyDecision) -> Iterator[Model[Any]]:
    if isinstance(decision.predict, Model):
        yield decision.predict
    if decision.fallback is not None:
        yield from decision.fallback.models


def _probability(answer: Answered) -> float | None:
    """Return how sure an answer of yes is: as sure as of no, if that is the likelier one."""
    return max(answer.value, 1 - answer.value) if isinstance(answer.value, float) else None


def _no_engine(model: str, name: str, why: str) -> DeclarationError:
    return DeclarationError(
        f"{name} cannot answer for {model!r}", why=why, fix="name another endpoint", field="serving"
    )
