"""Rollouts: which share each release has, and how that changes."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from steward.entries import Launched, Promoted, RolledBack
from steward.errors import Conflict, ContractError, Denied
from steward.loop.prepare import Prepared
from steward.releases.arms import Arms
from steward.releases.live import Live, Rollout
from steward.runtime.lineups import Lineups
from steward.runtime.publishing import Publishing
from steward.runtime.release_log import ReleaseLog, check_words


class Rollouts:
    """Gives releases their shares. Every method returns what is live then.

    All raise ``ContractError`` if there is no name or no reason, ``NotFound`` if there is no such decision, and
    ``EngineError`` if it cannot be written; then nothing has changed. Where ``number`` is given, they raise
    ``Conflict`` (``code`` is ``overtaken``) if anything has changed since there were so many entries: what a program
    found out must not undo what a person has decided since.

    Args:
        log: What is live.
        publishing: Publishes a challenger where nobody has to agree.
        lineups: What this process runs.
    """

    def __init__(self, log: ReleaseLog, publishing: Publishing, lineups: Lineups) -> None:
        self._log, self._publishing, self._lineups = log, publishing, lineups

    async def start(
        self,
        ready: Prepared,
        *,
        by: str,
        reason: str,
        share: float = 0.0,
        is_shadow: bool = False,
        holdout: float | None = None,
    ) -> Live:
        """Begin a rollout of a release, or give it a part in the one that stands.

        In development mode it is published with that, if it was not.

        Args:
            ready: The challenger.
            by: Who begins it.
            reason: Why.
            share: What it decides, 0..1.
            is_shadow: It decides nothing, and only says what it would have chosen.
            holdout: The share that no challenger gets; as it was by default.

        Raises:
            ContractError: The shares do not fit.
            Conflict: It is the champion, or another canary stands.
            NotFound: It is not published, as another person has to agree first.
        """
        check_words(by, reason)
        release = ready.release

        def make(live: Live) -> Launched:
            self._log.require(live, release)
            _refuse_champion(live, release)
            stands = live.rollout or self._begun(live, by)
            if not is_shadow and stands.canary not in (UNSET, release):
                raise Conflict(
                    f"{stands.canary} is the canary of {live.decision!r}",
                    fix="stop or promote it first, or let this one be a shadow",
                    code="rollout-stands",
                )
            others = tuple(each for each in stands.shadows if each != release)
            if is_shadow and release != stands.canary:
                wanted = replace(stands, shadows=(*others, release))
            else:
                wanted = replace(stands, canary=release, share=share, shadows=others)
            return self._launched(live, wanted, by, reason, holdout)

        live = self._log.live(ready.decision.name)
        _refuse_champion(live, release)
        Arms(salt="", share=share, holdout=holdout or 0.0)  # or refuse before anything is published
        await self._publishing.publish(ready, by=by, reason=reason)
        return await self._log.step(ready.decision.name, make)

    async def share(
        self, name: str, share: float, *, by: str, reason: str, release: str | None = None, holdout: float | None = None
    ) -> Live:
        """Give the canary another share, or a shadow its first.

        Args:
            name: The decision.
            share: What it decides from now on, 0..1.
            by: Who says so.
            reason: Why.
            release: Which; by default the canary, or the only shadow.
            holdout: The share that no challenger gets; as it was by default.

        Raises:
            ContractError: The shares do not fit.
            Conflict: No rollout stands, or the release has no part in it.
        """
        check_words(by, reason)

        def make(live: Live) -> Launched:
            stands = _standing(live)
            chosen = release or stands.canary or (stands.shadows[0] if len(stands.shadows) == 1 else UNSET)
            if not isinstance(chosen, str) or chosen not in stands.challengers:
                raise Conflict(
                    f"{chosen or 'nobody'} has no part in {stands.name}",
                    fix=f"name one of {', '.join(stands.challengers) or '(there is no challenger)'}",
                    code="not-rolled-out",
                )
            if stands.canary not in (UNSET, chosen):
                raise Conflict(f"{stands.canary} is the canary", fix="stop it first", code="rollout-stands")
            self._log.require(live, chosen)
            shadows = tuple(each for each in stands.shadows if each != chosen)
            wanted = replace(stands, canary=chosen, share=share, shadows=shadows)
            return self._launched(live, wanted, by, reason, holdout)

        return await self._log.step(name, make)

    async def promote(
        self, name: str, *, by: str, reason: str, release: str | None = None, number: int | None = None
    ) -> Live:
        """Make a release the champion: the canary, or any that is published. A holdout keeps the old one.

        Raises:
            Conflict: There is none, or it is the champion.
            Denied: In governed mode, the same person began the rollout or proposed the release.
            NotFound: It is not published, or its code or models are not in this process.
        """
        check_words(by, reason)

        def make(live: Live) -> Promoted:
            _check_number(live, number)
            chosen = _candidate(live, release)
            known = self._log.require(live, chosen)
            _refuse_champion(live, chosen)
            began = live.rollout.started_by if live.rollout is not None else known.by
            if self._log.is_governed and by == began:
                raise Denied(
                    f"{by} began this", why="a second person promotes", fix="let somebody else do it", code="four-eyes"
                )
            rollout = UNSET if live.rollout is None else live.rollout.name
            entry = self._log.entry(live, by)
            return Promoted(**entry, release=chosen, before=live.champion, rollout=rollout, reason=reason)

        await self._must_run(name, make(self._log.live(name)).release)
        return await self._log.step(name, make)

    async def stop(self, name: str, *, by: str, reason: str, number: int | None = None) -> Live:
        """End the rollout that stands: the champion decides all, and nobody is held out or asked on the side.

        Raises:
            Conflict: None stands.
        """
        check_words(by, reason)

        def make(live: Live) -> RolledBack | Launched:
            _check_number(live, number)
            stands = _standing(live)
            if isinstance(stands.canary, str):
                return self._withdrawn(live, live.champion, stands.canary, by, reason)
            return self._launched(live, replace(stands, shadows=()), by, reason, 0.0)

        return await self._log.step(name, make)

    async def rollback(
        self, name: str, *, by: str, reason: str, to: str | None = None, number: int | None = None
    ) -> Live:
        """Go back to the release before, which is still in memory: a canary loses its share, else the champion goes.

        Args:
            name: The decision.
            by: Who does.
            reason: Why.
            to: What was the champion once and shall be again; by default the one before.
            number: See above.

        Raises:
            Conflict: There was none before, or it is the champion.
            NotFound: Its code or its models are not in this process.
        """
        check_words(by, reason)

        def make(live: Live) -> RolledBack:
            _check_number(live, number)
            canary = UNSET if live.rollout is None else live.rollout.canary
            if to is None and isinstance(canary, str):
                return self._withdrawn(live, live.champion, canary, by, reason)
            chosen = to or (live.former[-1] if live.former else "")
            _refuse_champion(live, chosen)
            if chosen not in live.former:
                raise Conflict(
                    f"{chosen or 'no other release'} was the champion of {name!r} before",
                    fix=f"choose one of {', '.join(dict.fromkeys(live.former)) or '(there was none)'}",
                    code="no-release-before",
                )
            return self._withdrawn(live, chosen, live.champion, by, reason)

        await self._must_run(name, make(self._log.live(name)).release)
        return await self._log.step(name, make)

    async def _must_run(self, name: str, release: str) -> None:
        """Refuse what this process cannot run, before anything is written."""
        if (error := await self._log.load(name, release)) is not None:
            raise error

    def _begun(self, live: Live, by: str) -> Rollout:
        return Rollout(
            name=f"{live.decision}/{live.number}",
            champion=live.champion,
            started_at=self._log.entry(live, by)["at"],
            started_by=by,
            at=self._log.entry(live, by)["at"],
            by=by,
        )

    def _launched(self, live: Live, wanted: Rollout, by: str, reason: str, holdout: float | None) -> Launched:
        wanted = replace(wanted, holdout=wanted.holdout if holdout is None else holdout)
        if not wanted.arms.share and isinstance(wanted.canary, str):
            raise ContractError("a canary needs a share", fix="0.05 are 5 %; or let it be a shadow", field="share")
        return Launched(
            **self._log.entry(live, by),
            rollout=wanted.name,
            champion=wanted.champion,
            canary=wanted.canary,
            share=wanted.share,
            shadows=wanted.shadows,
            holdout=wanted.holdout,
            reason=reason,
        )

    def _withdrawn(self, live: Live, release: str, withdrawn: str, by: str, reason: str) -> RolledBack:
        rollout = UNSET if live.rollout is None else live.rollout.name
        entry = self._log.entry(live, by)
        return RolledBack(**entry, release=release, withdrawn=withdrawn, rollout=rollout, reason=reason)


def _standing(live: Live) -> Rollout:
    if live.rollout is None:
        raise Conflict(
            f"no rollout of {live.decision!r} stands", fix="begin one: steward rollout start", code="no-rollout"
        )
    return live.rollout


def _candidate(live: Live, release: str | None) -> str:
    """Return what is to be promoted."""
    canary = UNSET if live.rollout is None else live.rollout.canary
    chosen = release or canary
    if not isinstance(chosen, str):
        raise Conflict(
            f"{live.decision!r} has no canary", fix="name a release that is published: --release", code="no-rollout"
        )
    return chosen


def _refuse_champion(live: Live, release: str) -> None:
    if release == live.champion:
        raise Conflict(f"{release} is the champion already", fix="choose another release", code="is-champion")


def _check_number(live: Live, number: int | None) -> None:
    if number is not None and live.number != number:
        raise Conflict(
            f"the releases of {live.decision!r} have changed meanwhile", fix="look at them again", code="overtaken"
        )
