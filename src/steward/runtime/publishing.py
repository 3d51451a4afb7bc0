"""Publishing: a release may be given a share once another person agreed to it, or at once in development mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import UNSET

from steward.entries import Promoted, Proposed, Published
from steward.errors import Conflict, Denied, IntegrityError
from steward.loop.gate import SYSTEM
from steward.loop.prepare import Prepared
from steward.releases.live import Known, Live
from steward.releases.release import Release
from steward.runtime.lineups import Lineups
from steward.runtime.release_log import ReleaseLog, Vouch, check_words


class Publishing:
    """Proposes, approves, and puts into service what a process is started with.

    Args:
        log: What is live.
        lineups: What this process runs.
        publisher: Who publishes what this process runs, where nobody has to agree.
        vouch: What governed mode asks of a release.
        missing: What its models lack before they may be published: cards, and somebody else's validation.
    """

    def __init__(
        self,
        log: ReleaseLog,
        lineups: Lineups,
        *,
        publisher: str = SYSTEM,
        vouch: Vouch | None = None,
        missing: Callable[[Release], Sequence[str]] | None = None,
    ) -> None:
        self._log, self._lineups, self._publisher, self._vouch = log, lineups, publisher, vouch
        self._missing = missing

    async def open(self) -> None:
        """Restore what is live from the ledger, and let it decide if it may and can.

        In development mode new code is published and in service at once, unless a rollout stands; and where the code of
        the champion is gone, what the process was started with takes its place, which is written down. Where a model of
        the champion is not what was registered, a person has to say what shall decide.
        """
        for name in self._lineups:
            await self._log.read(name)
            if not self._log.is_governed:
                await self._put_into_service(name)
            await self._log.follow(name)

    async def propose(
        self, ready: Prepared, *, by: str, reason: str, envelope: dict[str, object] | None = None
    ) -> Live:
        """Want a release to be published; another person must :meth:`approve` it.

        Args:
            ready: The release.
            by: Who wants it.
            reason: Why.
            envelope: Its document signed (DSSE); governed mode asks for one.

        Raises:
            ContractError: There is no name or no reason.
            Conflict: It waits for somebody already, or is published (``code`` is ``already-published``).
            IntegrityError: In governed mode, nobody who is trusted signed it.
            Denied: In governed mode, a model has no card, or nobody but its author has validated it (``no-card``).
            EngineError: It cannot be written.
        """
        check_words(by, reason)
        name = ready.decision.name
        if (held := self._lineups.withheld.get(name)) is not None and ready.release == self._lineups.own[name]:
            raise held
        document = ready.made_of.document()

        def make(live: Live) -> Proposed:
            known = live.known.get(ready.release)
            if known is not None and not (self._log.is_governed and known.is_published and not known.is_approved):
                _refuse_again(known)
            return Proposed(
                **self._log.entry(live, by),
                release=ready.release,
                document=document,
                description=ready.decision.description,
                envelope=envelope or UNSET,
                reason=reason,
            )

        if self._vouch is not None:
            live = self._log.live(name)
            at = self._log.entry(live, by)["at"]
            self._vouch(Known(release=ready.release, by=by, at=at, document=document, envelope=envelope or UNSET))
        if self._missing is not None and (missing := self._missing(ready.made_of)):
            raise Denied(
                f"{ready.release} cannot be published yet",
                why="; ".join(missing),
                fix="write the cards and have them validated: steward models card NAME --file FILE --key KEY",
                code="no-card",
            )
        return await self._log.step(name, make)

    async def approve(self, release: str, *, by: str, reason: str) -> Live:
        """Agree to a release that somebody else proposed; it is published. The first of a decision decides at once.

        Raises:
            ContractError: There is no name or no reason.
            NotFound: Nobody proposed it.
            Conflict: It is published already.
            Denied: The same person proposed it (``code`` is ``four-eyes``).
            EngineError: It cannot be written.
        """
        check_words(by, reason)
        name = release.rpartition("@")[0]
        self._log.known(release)

        def make(live: Live) -> Published:
            known = live.known[release]
            if known.is_published:
                _refuse_again(known)
            if known.by == by:
                raise Denied(
                    f"{by} proposed {release}",
                    why="a release is published with the approval of another person",
                    fix="let somebody else agree",
                    code="four-eyes",
                )
            if self._vouch is not None:
                self._vouch(known)
            return Published(
                **{**self._log.entry(live, known.by)},
                release=release,
                description=known.description,
                document=known.document,
                approved_by=by,
                reason=reason,
                serves=not live.champion,
            )

        return await self._log.step(name, make)

    async def publish(self, ready: Prepared, *, by: str, reason: str, serves: bool = False) -> None:
        """Publish a release where nobody has to agree and it is not yet.

        Args:
            ready: The release.
            by: Who does.
            reason: Why.
            serves: It is the champion from now on.
        """

        def make(live: Live) -> Published | None:
            known = live.known.get(ready.release)
            if known is not None and known.is_published:
                return None
            return Published(
                **self._log.entry(live, by),
                release=ready.release,
                description=ready.decision.description,
                document=ready.made_of.document(),
                reason=reason,
                serves=serves,
            )

        if not self._log.is_governed:
            await self._log.step(ready.decision.name, make)

    async def _put_into_service(self, name: str) -> None:
        own, live = self._lineups[name], self._log.live(name)
        error = await self._log.load(name, live.champion) if live.champion else None
        if isinstance(error, IntegrityError):
            return  # whoever changed a model shall not choose by that what decides instead
        is_runnable = bool(live.champion) and error is None
        known = live.known.get(own.release)
        if known is None or not known.is_published:
            if not is_runnable or live.rollout is None:  # what is being compared stays what it is
                await self.publish(own, by=self._publisher, reason="", serves=True)
        elif not is_runnable:
            await self._log.step(name, lambda live: self._instead(live, own.release))

    def _instead(self, live: Live, own: str) -> Promoted | None:
        if live.champion == own:
            return None
        why = "the process was started with this code"
        return Promoted(**self._log.entry(live, self._publisher), release=own, before=live.champion, reason=why)


def _refuse_again(known: Known) -> None:
    if known.is_published:
        raise Conflict(f"{known.release} is published already", fix="start a rollout of it", code="already-published")
    raise Conflict(
        f"{known.release} waits for another person already",
        why=f"{known.by} proposed it",
        fix=f"let somebody else agree: steward release approve {known.release}",
        code="already-proposed",
    )
