"""Verifies the running process's own ledger in the background, and proves single entries of it."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol, cast, runtime_checkable

from msgspec import Struct

from steward.clock import Clock, SystemClock
from steward.errors import EngineError, IntegrityError, NotFound, StewardError
from steward.ledger.bundle import SigningLedger
from steward.ledger.port import Ledger
from steward.ledger.sqlite_calendar import SignedHour
from steward.ledger.verify import Break, Proven, verify_index
from steward.ledger.verify_entries import repeats
from steward.ledger.verify_proofs import BLOCK_LEAVES, Peaks, hash_leaf, open_checkpoint, root_of_path
from steward.ledger.verify_store import Report
from steward.runtime.audit_process import Checked, Failed, decode_line

FIRST_AFTER_S: Final = 10.0
"""How long a process that has just started does other things first."""
AT_MOST: Final = 1 / 20
"""The share of the time that is spent on verifying again and again."""
_LINE_BYTES: Final = 16 * 1024 * 1024
_PROCESS: Final = "steward.runtime.audit_process"
_log = logging.getLogger("steward.audit")


class Trust(StrEnum):
    """What is known of a ledger.

    Example:
        >>> Trust.HOLDS.value
        'holds'
    """

    UNKNOWN = "unknown"
    """It was not verified yet."""
    HOLDS = "holds"
    """Nothing was found that does not hold."""
    BROKEN = "broken"
    """Something was changed."""


class Verified(Struct, frozen=True, kw_only=True):
    """What a verification of the whole ledger has found.

    Attributes:
        at: When it ended, by the machine's clock.
        took_s: How long it took.
        entries: Entries whose bytes were hashed.
        messages: Messages of the event log whose checksums were compared.
        checkpoints: Signed heads that were compared with the tree.
        signed_entries: Entries under the largest good head.
        origin: The ledger's name in its heads.
        root: Root over all entries, in hex.
        breaks: What does not hold; no more than 1,000 are listed.
        hours: When heads were signed, the oldest hour first; empty for a ledger that keeps none.

    Example:
        >>> from steward.clock import EPOCH
        >>> Verified(at=EPOCH, took_s=0.2, entries=3, messages=0, checkpoints=1, signed_entries=3, origin="a", root="",
        ...          breaks=[Break(1, "it is missing")], hours=[]).trust
        <Trust.BROKEN: 'broken'>
    """

    at: datetime
    took_s: float
    entries: int
    messages: int
    checkpoints: int
    signed_entries: int
    origin: str
    root: str
    breaks: list[Break]
    hours: list[SignedHour]

    @property
    def trust(self) -> Trust:
        """Whether everything holds."""
        return Trust.BROKEN if self.breaks else Trust.HOLDS


@runtime_checkable
class _InFile(Protocol):
    """A ledger in a file, which another process can read."""

    @property
    def database_file(self) -> Path: ...
    @property
    def checkpoint_file(self) -> Path: ...


class Audit:
    """Verifies one ledger, one verification at a time, by the code that shares nothing with the ledger's own.

    A ledger in a file is read by a process of its own, which gives way to all others; any other is walked through here,
    a few entries at a time.

    Args:
        ledger: What is verified.
        every_s: How often it is verified by itself once started; 0 is never. It is never more than a twentieth of the
            time, and only for a ledger that outlives the process.
        clock: Says when it was verified. It is the machine's, also where decisions are made in a virtual time.

    Attributes:
        last: What the last verification has found.
        progress: How far the one under way is: entries checked, and their number; ``None`` if none is.
        failure: Why the last one could not be done, if it could not.

    Example:
        >>> from uuid import UUID
        >>> from steward.ledger.memory import MemoryLedger
        >>> from steward.ledger.port import Commit, Draft
        >>> body = b'{"kind":"acted","decision_id":"00000000-0000-0000-0000-000000000007"}'
        >>> async def main() -> tuple[Trust, int]:
        ...     ledger = MemoryLedger()
        ...     await ledger.append(Commit(entries=[Draft("acted", UUID(int=7), body)]))
        ...     found = await Audit(ledger).verify()
        ...     return found.trust, found.entries
        >>> asyncio.run(main())
        (<Trust.HOLDS: 'holds'>, 1)
    """

    def __init__(self, ledger: Ledger, *, every_s: float = 0.0, clock: Clock | None = None) -> None:
        self.ledger, self.every_s = ledger, every_s
        self.clock = clock or SystemClock()
        self.last: Verified | None = None
        self.progress: Checked | None = None
        self.failure: StewardError | None = None
        self._under_way: asyncio.Task[Verified] | None = None
        self._repeated: asyncio.Task[None] | None = None

    @property
    def trust(self) -> Trust:
        """What is known of the ledger."""
        return Trust.UNKNOWN if self.last is None else self.last.trust

    @property
    def age(self) -> timedelta | None:
        """How long ago the last verification ended."""
        return None if self.last is None else max(self.clock.now() - self.last.at, timedelta(0))

    @property
    def public_key(self) -> str:
        """The key with which this process signs, as a signed-note verifier key."""
        return cast("SigningLedger", self.ledger).public_key

    @property
    def is_kept(self) -> bool:
        """Whether the ledger lies in a file, beside which its last signed head is kept."""
        return isinstance(self.ledger, _InFile)

    def begin(self) -> asyncio.Task[Verified]:
        """Begin to verify, unless it is under way; return what ends with what is found."""
        if self._under_way is None or self._under_way.done():
            self.progress = Checked(0, 0)
            self._under_way = asyncio.ensure_future(self._verified())
            self._under_way.add_done_callback(_retrieved)
        return self._under_way

    async def verify(self) -> Verified:
        """Verify the whole ledger and return what was found.

        Raises:
            EngineError: It cannot be read now.
        """
        return await asyncio.shield(self.begin())

    def start(self) -> None:
        """Verify again and again from now on, if that is wanted."""
        if self.every_s > 0 and self.is_kept and self._repeated is None:
            self._repeated = asyncio.ensure_future(self._repeat())

    async def close(self) -> None:
        """Stop, and end a verification that is under way."""
        tasks = [task for task in (self._repeated, self._under_way) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self) -> None:
        await asyncio.sleep(min(self.every_s, FIRST_AFTER_S))
        while True:
            took_s = 0.0
            try:
                took_s = (await self.verify()).took_s
            except StewardError as error:
                _log.warning("the ledger could not be verified: %s", error)
            await asyncio.sleep(max(self.every_s, took_s * (1 / AT_MOST - 1)))

    async def _verified(self) -> Verified:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            report, hours = await (self._in_process(self.ledger) if isinstance(self.ledger, _InFile) else self._here())
        except StewardError as error:
            self.failure = error
            raise
        finally:
            self.progress = None
        self.failure = None
        self.last = Verified(
            at=self.clock.now(),
            took_s=round(loop.time() - began_s, 3),
            entries=report.entries,
            messages=report.messages,
            checkpoints=report.checkpoints,
            signed_entries=report.signed_entries,
            origin=report.origin,
            root=report.root,
            breaks=report.breaks,
            hours=hours,
        )
        if report.breaks:
            _log.error(
                "THE LEDGER IS BROKEN: %s (%d such findings). Next: keep all files, look who could write them, and "
                "compare with a backup: steward verify --all",
                report.breaks[0],
                len(report.breaks),
            )
        return self.last

    async def _in_process(self, ledger: _InFile) -> tuple[Report, list[SignedHour]]:
        await self.ledger.checkpoint()  # so that whatever there is now is under a signed head
        files = (str(ledger.database_file.absolute()), str(ledger.checkpoint_file.absolute()))
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", _PROCESS, *files, self.public_key,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                limit=_LINE_BYTES,
                start_new_session=True,  # Ctrl-C is for the server, which then ends this
            )  # fmt: skip
        except OSError as error:
            raise EngineError("the verifying process cannot be started", why=str(error), retryable=True) from error
        try:
            assert process.stdout is not None
            async for text in process.stdout:
                line = decode_line(text)
                if isinstance(line, Checked):
                    self.progress = line
                elif isinstance(line, Failed):
                    raise EngineError("the ledger cannot be verified now", why=line.what, retryable=True)
                else:
                    return line.report, line.hours
        finally:
            await _ended(process)
        raise EngineError(
            "the verifying process ended without a word",
            why=f"its exit code is {process.returncode}",
            fix="look for what it wrote to the server's standard error",
            retryable=True,
        )

    async def _here(self) -> tuple[Report, list[SignedHour]]:
        """Walk through a ledger without a file, as :class:`steward.ledger.verify_store.StoreCheck` does with one."""
        ledger, report, peaks = self.ledger, Report(), Peaks()
        head = await ledger.checkpoint()
        try:
            while peaks.size < head.size:
                entries = await ledger.read(peaks.size, min(BLOCK_LEAVES, head.size - peaks.size))
                if not entries:
                    break
                for entry in entries:
                    if not repeats(entry.body, entry.kind, entry.run_id.bytes):
                        report.add(entry.index, "its columns do not repeat its body")
                peaks.push_all([hash_leaf(entry.body) for entry in entries])
                self.progress = Checked(peaks.size, head.size)
                await asyncio.sleep(0)
        except IntegrityError as error:
            report.add(peaks.size, str(error))
        report.entries, report.root = peaks.size, peaks.root().hex()
        try:
            signed = open_checkpoint(head.note, self.public_key)
            report.origin, report.checkpoints = signed.origin, 1
            if (signed.size, signed.root) != (peaks.size, peaks.root()):
                report.add(None, f"the first {signed.size} entries are not those that were signed")
            else:
                report.signed_entries = signed.size
        except ValueError as error:
            report.add(None, f"the signed head does not hold: {error}")
        return report, []

    async def prove(self, index: int) -> Proven:
        """Prove one entry now, against a head that is signed for it.

        Raises:
            NotFound: The ledger has no such entry.
            EngineError: It cannot be read.
        """
        head = await self.ledger.checkpoint()
        if not 0 <= index < head.size:
            raise NotFound(f"the ledger has no entry {index}", fix=f"it has {head.size}: 0 to {head.size - 1}")
        if isinstance(self.ledger, _InFile):
            outside = self.ledger.checkpoint_file
            return await asyncio.to_thread(
                verify_index, self.ledger.database_file, index, checkpoint_file=outside, public_key=self.public_key
            )
        [entry] = await self.ledger.read(index, 1)
        path = list(await self.ledger.inclusion(index, head.size))
        leaf, breaks = hash_leaf(entry.body), list[Break]()
        try:
            root = open_checkpoint(head.note, self.public_key).root
            if root_of_path(leaf, index, head.size, path) != root:
                breaks.append(Break(index, "its proof does not lead to the root"))
        except ValueError as error:
            root = head.root
            breaks.append(Break(index, f"the signed head does not hold: {error}"))
        return Proven(
            index=index,
            kind=entry.kind,
            body=entry.body.decode(errors="replace"),
            size=head.size,
            path=[hashed.hex() for hashed in path],
            signed=True,
            breaks=breaks,
            leaf=leaf.hex(),
            root=root.hex(),
        )


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _retrieved(task: asyncio.Task[Any]) -> None:
    """Look at how it ended: whoever only began it does not wait for that; :attr:`Audit.failure` has it."""
    if not task.cancelled():
        task.exception()
