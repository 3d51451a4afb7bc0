"""Everything about releases, put together; and what governed mode asks of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET

from steward.clock import Clock
from steward.decision.decision import Decision
from steward.entries import Distrusted as Refused
from steward.errors import DeclarationError, Distrusted, EngineError, StewardError
from steward.ledger.port import Commit, Draft, Ledger
from steward.ledger.run import body_of
from steward.models.registry import Registry
from steward.models.signing.card import publishable
from steward.models.signing.dsse import Envelope, verify
from steward.models.signing.trust import Trust
from steward.releases.live import Known, live_of, run_of
from steward.releases.release import PAYLOAD_TYPE, Release
from steward.runtime.admission import Admission
from steward.runtime.journal import Journal
from steward.runtime.judging import Judging
from steward.runtime.lineups import Lineups
from steward.runtime.publishing import Publishing
from steward.runtime.release_log import ReleaseLog
from steward.runtime.rollouts import Rollouts
from steward.runtime.settings import Settings
from steward.runtime.shadows import Shadows

DEVELOPMENT: Final = "development"
GOVERNED: Final = "governed"


@dataclass(frozen=True, kw_only=True)
class Releasing:
    """What is live, how it changes, and who is asked on the side.

    Attributes:
        log: What is live.
        publishing: Proposes and approves.
        rollouts: Gives shares.
        shadows: Asks what others would have chosen.
        judging: What is seen of each rollout, and what that says.

    Example:
        >>> list(Releasing.__dataclass_fields__)
        ['log', 'publishing', 'rollouts', 'shadows', 'judging']
    """

    log: ReleaseLog
    publishing: Publishing
    rollouts: Rollouts
    shadows: Shadows
    judging: Judging


def open_releasing(
    journal: Journal, lineups: Lineups, clock: Clock, settings: Settings, admission: Admission, *, registry: Registry
) -> Releasing:
    """Make what releases need, as the settings say.

    Raises:
        DeclarationError: The mode is not known, or governed and nobody is trusted.
    """
    trust = settings.path(settings.trust) if is_governed(settings) else None
    vouch = None if trust is None else Voucher(trust)
    missing = None if trust is None else partial(missing_of, registry, trust)
    log = ReleaseLog(journal, lineups, clock, vouch=vouch)
    publishing = Publishing(log, lineups, publisher=settings.publisher, vouch=vouch, missing=missing)
    rollouts = Rollouts(log, publishing, lineups)
    return Releasing(
        log=log,
        publishing=publishing,
        rollouts=rollouts,
        shadows=Shadows(journal, lineups, clock, admission),
        judging=Judging(journal.ledger, lineups, log, rollouts),
    )


def missing_of(registry: Registry, trust: Path, release: Release) -> Sequence[str]:
    """Return what the models of a release lack before they may be published, a sentence each.

    Raises:
        IntegrityError: A model is not what was registered, or nobody trusted has signed it.
    """
    known = Trust.read(trust)
    found = [(name, publishable(registry.fetch(name, digest), known)) for name, digest in release.models.items()]
    return [f"{name}: {sentence}" for name, missing in found for sentence in missing]


async def pins_of(
    ledger: Ledger, decisions: Sequence[Decision[Any, Any, Any]], settings: Settings
) -> Mapping[str, Mapping[str, str]]:
    """Return the models, by their digests, that governed decisions are live with: what was registered since has no say.

    In development mode there are none: ``latest`` is what is registered at the time of the start.
    """
    pins: dict[str, Mapping[str, str]] = {}
    for decision in decisions if is_governed(settings) else ():
        entries = await ledger.of_run(run_of(decision.name))
        live = live_of(decision.name, [body_of(entry) for entry in entries])
        document = live.known[live.champion].document if live.champion else None
        if document and document.get("fingerprint") == decision.fingerprint:
            pins[decision.name] = Release.read(document).models
    return pins


async def note_refusal(ledger: Ledger, error: StewardError, clock: Clock, decision: str = "*") -> None:
    """Write down that a process would not decide with what it was given, or not start; whoever tampers leaves a trace.

    A ledger that is itself not what was written takes no entry; then its own error is all there is.
    """
    body = Refused(
        decision_id=clock.new_id(),
        decision=decision,
        at=clock.now(),
        release="*",
        code=error.code,
        reason=str(error),
    )
    with suppress(EngineError):
        await ledger.append(Commit(entries=(Draft("distrusted", body.decision_id, msgspec.json.encode(body)),)))


def is_governed(settings: Settings) -> bool:
    """Tell whether only signed releases decide that a second person agreed to.

    Raises:
        DeclarationError: The mode is not known, or governed and nobody is trusted.

    Example:
        >>> is_governed(Settings())
        False
    """
    if settings.mode not in (DEVELOPMENT, GOVERNED):
        raise DeclarationError(
            f"there is no mode {settings.mode!r}", fix=f"choose {DEVELOPMENT} or {GOVERNED}", field="mode"
        )
    if settings.mode == GOVERNED and not settings.trust:
        raise DeclarationError(
            "governed mode trusts nobody",
            why="every model and every release has to be signed by somebody who is trusted",
            fix="set trust to a folder of public keys: steward models keys trust",
            field="trust",
        )
    return settings.mode == GOVERNED


class Voucher:
    """Asks for the signature of somebody who is trusted now; a key that was revoked counts no more.

    Args:
        folder: The public keys that are believed, and what was revoked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, known: Known) -> None:
        """Raise what speaks against a release.

        Raises:
            Distrusted: It is not signed, by nobody who is trusted, or not what was signed.
        """
        try:
            release = Release.read(known.document)
        except msgspec.ValidationError as error:
            raise Distrusted(f"{known.release} is no release", why=str(error), fix="propose it again") from error
        if release.name != known.release:
            raise Distrusted(
                f"{known.release} is not what it was", why=f"its document is that of {release.name}", fix="propose it"
            )
        if known.envelope is UNSET:
            raise Distrusted(
                f"{known.release} is not signed",
                why="governed mode asks for the signature of somebody who is trusted",
                fix=f"steward release propose {release.decision} --key FILE",
            )
        try:
            envelope = msgspec.convert(known.envelope, Envelope)
        except msgspec.ValidationError as error:
            raise Distrusted(f"the signature of {known.release} cannot be read", why=str(error)) from error
        signed = verify(envelope, Trust.read(self._folder), payload_type=PAYLOAD_TYPE, what=known.release)
        if signed.payload != release.payload():
            raise Distrusted(f"what is signed is not {known.release}", fix="sign its own document")
