"""The log of releases: what is live, folded from the ledger, and the one way in which it changes.

Every change is one entry whose key only one writer can take (:mod:`steward.releases.live`); then the line-up follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from msgspec import ValidationError

from steward.clock import Clock
from steward.decision.checks import nearest
from steward.entries import Distrusted
from steward.errors import Conflict, ContractError, EngineError, IntegrityError, NotFound, StewardError
from steward.ledger.port import Commit, Draft
from steward.ledger.run import body_of
from steward.loop.encode import encode
from steward.loop.gate import SYSTEM
from steward.releases.live import Body, Known, Live, key_of, live_of, run_of
from steward.runtime.journal import Journal
from steward.runtime.lineups import Lineups

_TRIES: Final = 100
"""How often a writer that was overtaken reads on and thinks again."""
Vouch = Callable[[Known], None]
"""Raises what speaks against a release in governed mode: that it is not signed, or by nobody who is trusted."""
Make = Callable[[Live], Body | None]
"""Makes the next entry from what is live, or refuses; ``None`` if there is nothing to do."""


class ReleaseLog:
    """What is live for each decision.

    Args:
        journal: Where entries are written.
        lineups: What decides, which follows.
        clock: Says when.
        vouch: What governed mode asks of a release; ``None`` in development mode.
    """

    def __init__(self, journal: Journal, lineups: Lineups, clock: Clock, *, vouch: Vouch | None = None) -> None:
        self._journal, self._lineups, self._clock, self._vouch = journal, lineups, clock, vouch
        self._live: dict[str, Live] = {}
        self._lacking: dict[str, StewardError] = {}
        self._doubted: set[str] = set()

    @property
    def is_governed(self) -> bool:
        """Whether only signed releases decide that a second person agreed to."""
        return self._vouch is not None

    def live(self, name: str) -> Live:
        """Return what is live for a decision.

        Raises:
            NotFound: There is no such decision.
        """
        if name not in self._live:
            raise NotFound(f"no decision is named {name!r}", fix=nearest(name, self._live), field="name")
        return self._live[name]

    def known(self, release: str) -> Known:
        """Return what is known of a release.

        Raises:
            NotFound: Nobody proposed or published it.
        """
        live = self._live.get(release.rpartition("@")[0])
        found = None if live is None else live.known.get(release)
        if found is None:
            raise NotFound(f"no release is named {release!r}", fix="list them: steward release show", field="release")
        return found

    async def history(self, name: str) -> Sequence[Body]:
        """Return all entries about a decision's releases, in order."""
        entries = await self._journal.of_run(run_of(name))
        bodies = (body_of(entry) for entry in entries)
        return [body for body in bodies if isinstance(body, Body)]

    async def live_at(self, name: str, at: datetime) -> Live:
        """Return what was live for a decision at a time."""
        return live_of(self.live(name).decision, await self.history(name), at=at)

    def lacking(self, name: str) -> Mapping[str, str]:
        """Return the releases that should have a part in a decision but cannot be run here, and why."""
        live = self.live(name)
        parts = {live.champion, *(live.rollout.challengers if live.rollout is not None else ())}
        return {release: str(error) for release, error in self._lacking.items() if release in parts}

    async def read(self, name: str) -> Live:
        """Fold a decision's entries anew."""
        self._live[name] = live = live_of(name, await self.history(name))
        self._doubted.discard(name)
        return live

    async def settle(self) -> None:
        """Find out what is live where a change was not answered, and let it decide; until then nothing may.

        Raises:
            EngineError: It cannot be found out now.
        """
        for name in sorted(self._doubted):
            try:
                await self.read(name)
            except EngineError:
                live = self._live[name]
                self._lineups.install(live, refusal=self._refusal(live))
                raise
            await self.follow(name)

    async def step(self, name: str, make: Make) -> Live:
        """Write the next entry of a decision, and let what is live then decide.

        Raises:
            NotFound: There is no such decision.
            Conflict: Others change it all the time.
            EngineError: It cannot be written, or nobody knows whether it is; what is live then decides all the same.
        """
        for _ in range(_TRIES):
            live = self.live(name)
            body = make(live)
            if body is None:
                return live
            kind = str(type(body).__struct_config__.tag)
            draft = Draft(kind, run_of(name), encode(body), key_of(name, live.number))
            try:
                await self._journal.append(Commit(entries=(draft,), urgent=True))
            except Conflict:
                await self.read(name)
                await self.follow(name)  # whatever this change comes to, that of the others is in force
                continue
            except asyncio.CancelledError:
                self._doubted.add(name)  # whoever asked has gone, but it may be written
                raise
            except EngineError:
                self._doubted.add(name)  # it may be written all the same, as when only the answer was lost
                with suppress(EngineError):
                    await self.settle()
                raise
            self._live[name] = live.after(body)
            return await self.follow(name)
        raise Conflict(f"others change the releases of {name!r} all the time", fix="try again", code="releases-busy")

    async def follow(self, name: str) -> Live:
        """Let decide what is live, as far as this process can and may."""
        while True:
            live = self._live[name]
            parts = [live.champion] if live.champion else []
            if live.rollout is not None:
                parts += [live.rollout.champion, *live.rollout.challengers]
            for release in dict.fromkeys(parts):
                await self.load(name, release)
            if live is self._live[name]:  # nothing has overtaken it while it was loaded
                self._lineups.install(live, refusal=self._refusal(live))
                return live

    async def load(self, name: str, release: str) -> StewardError | None:
        """Make a release ready; return why it cannot be, or may not."""
        known = self._live[name].known.get(release)
        try:
            if known is None:
                raise NotFound(f"nobody published {release}", code="release-unknown")
            if self._vouch is not None:
                self._vouch(known)
            await self._lineups.load(known.document)
        except (StewardError, ValidationError) as error:
            refused = error if isinstance(error, StewardError) else IntegrityError(f"{release} is no release: {error}")
            self._lacking[release] = refused
            if isinstance(refused, IntegrityError):
                await self._distrust(name, release, refused)
            return refused
        self._lacking.pop(release, None)
        return None

    def require(self, live: Live, release: object) -> Known:
        """Return a release that may be given a share.

        Raises:
            NotFound: Nobody published it, or another person has to agree first.
            IntegrityError: In governed mode, nobody who is trusted signed it.
        """
        known = live.known.get(release) if isinstance(release, str) else None
        if known is None:
            raise NotFound(
                f"no release of {live.decision!r} is named {release or '(none)'!r}",
                fix="list them: steward release show",
                field="release",
            )
        if not known.is_published or (self.is_governed and not known.is_approved):
            raise NotFound(
                f"{release} is not published",
                why="another person has to agree to it first",
                fix=f"steward release approve {release}",
                code="not-published",
            )
        if self._vouch is not None:
            self._vouch(known)
        return known

    def entry(self, live: Live, by: str) -> dict[str, Any]:
        """Return what all entries about releases have in common."""
        return {"decision_id": run_of(live.decision), "decision": live.decision, "at": self._clock.now(), "by": by}

    def _refusal(self, live: Live) -> EngineError | None:
        """Return why nothing may be decided here; in development mode anything may that is live and was not changed."""
        if live.decision in self._doubted:
            return EngineError(
                f"nobody knows what is live for {live.decision!r}",
                why="a change of its releases was not answered, and the ledger cannot be read",
                fix="try again; it is looked up as soon as that can be",
                code="releases-in-doubt",
                retryable=True,
            )
        lacking = self._lacking.get(live.champion)
        if not self.is_governed and not isinstance(lacking, IntegrityError):
            return None
        against = self._against(live, lacking)
        if against is None:
            return None
        what, (why, fix) = f"{live.decision!r} may not be decided", against
        return EngineError(what, why=why, fix=fix, code="release-unknown", retryable=True)

    def _against(self, live: Live, lacking: StewardError | None) -> tuple[str, str] | None:
        """Return why what is live may not decide here, and what to do about it."""
        name, champion, own = live.decision, live.champion, self._lineups.own[live.decision]
        known, withheld = live.known.get(champion), self._lineups.withheld.get(name)
        propose = f"steward release propose {name}; then another person: steward release approve {own}"
        if known is None and withheld is not None:
            return f"what it is declared with cannot be used: {_told(withheld)}", withheld.fix or "register it again"
        if known is None:
            waits = live.known.get(own)
            agree = None if waits is None else f"steward release approve {own}, by another person than {waits.by}"
            return "no release of it was published with the approval of another person", agree or propose
        if self.is_governed and not known.is_approved:
            return f"{champion} was published without the approval of another person", propose
        if lacking is None:
            return None
        instead = "" if own == champion or withheld is not None else f"steward rollout promote {name} --release {own}"
        if live.former:
            instead = f"let the one before decide: steward models rollback {name} --reason WHY"
        fix = "; or ".join(each for each in (lacking.fix, instead) if each)
        return f"{champion} is live and cannot decide here: {_told(lacking)}", fix or propose

    async def _distrust(self, name: str, release: str, error: StewardError) -> None:
        """Write down that a release was refused, once for each reason."""

        def make(live: Live) -> Distrusted | None:
            known = live.known.get(release)
            if known is None or known.distrusted == str(error):
                return None
            return Distrusted(**self.entry(live, SYSTEM), release=release, code=error.code, reason=str(error))

        live = self._live[name]
        while (body := make(live)) is not None:
            draft = Draft("distrusted", run_of(name), encode(body), key_of(name, live.number))
            try:
                await self._journal.append(Commit(entries=(draft,)))
                self._live[name] = live.after(body)
            except Conflict:
                await self.read(name)
            live = self._live[name]


def _told(error: StewardError) -> str:
    return f"{error.what} ({error.why})" if error.why else error.what


def check_words(by: str, reason: str) -> None:
    """Refuse a change that nobody answers for, or without a reason.

    Raises:
        ContractError: There is none.
    """
    for name, value in (("by", by), ("reason", reason)):
        if not value.strip() or (name == "by" and value != value.strip()):
            raise ContractError(f"a change of releases needs {name}", fix="say who changes what, and why", field=name)
