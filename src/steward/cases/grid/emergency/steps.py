"""What is done in an emergency, step by step, and how each step is taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from steward.cases.grid.emergency.automation import ALL_CLEAR, Automation
from steward.cases.grid.emergency.events import EmergencyHeld, Relief
from steward.cases.grid.emergency.scheme import Feeder, Scheme, Store
from steward.cases.grid.emergency.switchgear import Switchgear
from steward.clock import Clock
from steward.decision.action import Action, Call
from steward.decision.steps import Check, Signal, Steps
from steward.errors import EngineError, HeldBack
from steward.records import Receipt

F = TypeVar("F", bound=Callable[..., Any])
_QUICKLY = timedelta(milliseconds=20)
"""Before a second try; doubled each time."""
_PATIENCE = timedelta(seconds=5)
"""How long one try may take."""
_LOOKS = 3
_NO_PART = Receipt(reference="no-part")
_TOLERANCE = 0.05
"""A read-back may differ by this share from what was ordered."""


@dataclass(frozen=True)
class Emergency:
    """The steps of an emergency: freeze, relieve in order, ask, hold, restore in reverse order, let go.

    Whatever fails, everything is taken back in reverse order. Loads are put back only while the frequency is normal;
    until then they wait, relieved, and the automation with them. So a grid is restored or held, never left half.

    Args:
        scheme: What is done.
        grid: Where.
        automation: What is frozen meanwhile.
        clock: Tells when it is too late.
    """

    scheme: Scheme
    grid: Switchgear
    automation: Automation
    clock: Clock

    def steps(self) -> Steps[Relief]:
        """Return them as an action."""
        order = self.scheme.order
        relieving = [step for means in order for step in self._relieving(means)]
        restoring = [self._restoring(means) for means in reversed(order)]
        return Steps(
            _quick(self.freeze_automation, undo=self.release_automation, verify=self.is_frozen),
            *relieving,
            _quick(self.ask_to_confirm),
            Signal(name=ALL_CLEAR, within=self.scheme.hold_at_most, otherwise="the longest hold is over"),
            *restoring,
            _quick(self.release_automation),
            name="emergency",
        )

    async def freeze_automation(self, choice: Relief, call: Call) -> Receipt:
        """Let the scheme's other decisions dispatch nothing, if there still is an emergency and time to act."""
        await _refuse_if(lambda: self._why_not_due(choice, call))
        freezes = self.scheme.freezes
        await self.automation.freeze(freezes, by=call.decision, reason=f"emergency {call.decision_id}")
        return Receipt(reference="frozen", detail={"decisions": ", ".join(freezes)})

    async def is_frozen(self, choice: Relief, call: Call) -> Receipt | None:
        """Look whether they do."""
        if await self.automation.why_not_frozen(self.scheme.freezes) is not None:
            return None
        return Receipt(reference="frozen", detail={"decisions": ", ".join(self.scheme.freezes)})

    async def release_automation(self, choice: Relief, call: Call) -> Receipt:
        """Let them go on, unless another emergency still holds a device."""
        for means in self.scheme.order:
            with suppress(EngineError):  # a device that is silent for good must not freeze everything for good
                if (await self.grid.look(means.name)).relieves_mw:
                    return Receipt(reference="still-frozen", detail={"held": means.name})
        await self.automation.release(
            self.scheme.freezes, by=call.decision, reason=f"emergency {call.decision_id} is over"
        )
        return Receipt(reference="released")

    async def ask_to_confirm(self, choice: Relief, call: Call) -> Receipt:
        """Ask people whether it is to stay so; nothing waits for their answer."""
        held = EmergencyHeld(
            run=call.decision_id,
            site=call.features.text("site"),
            at=_measured_at(call),
            shed_mw=self.scheme.shed_mw(choice),
            at_stake_eur=self.scheme.at_stake_eur(choice),
        )
        await self.automation.tell(held, key=call.key)
        return Receipt(reference=call.key)

    def _relieving(self, means: Feeder | Store) -> list[Action[Relief] | Check[Relief]]:
        """Return the order to one device, behind its interlock, and what proves it."""
        device, scheme, grid = means.name, self.scheme, self.grid

        async def why_not(choice: Relief, call: Call) -> str | None:
            shed_mw = call.features.number("shed_mw") + scheme.shed_mw(choice, before=device)
            reason = scheme.obstacle(means, choice.mw(device), await grid.look(device), shed_mw=shed_mw)
            if device == choice.parts[0].device:
                reason = reason or await self._why_not_due(choice, call)
            return reason or await self.automation.why_not_frozen(scheme.freezes)

        async def relieve(choice: Relief, call: Call) -> Receipt:
            mw = choice.mw(device)
            if not mw:
                return _NO_PART
            # Nothing lies between the last look and the order, least of all a wait for the ledger.
            await _refuse_if(lambda: why_not(choice, call))
            return _under(call.key, await grid.relieve(device, mw, key=call.key))

        async def restore(choice: Relief, call: Call) -> Receipt:
            return await self._restored(device, choice, call.undoes or call.key)

        async def read_back(choice: Relief, call: Call) -> Receipt | None:
            if not choice.mw(device):
                return _NO_PART
            seen = await grid.read_back(device, key=call.key)
            return None if seen is None else _under(call.key, seen)

        async def relieves(choice: Relief, call: Call) -> str | None:
            wanted = choice.mw(device)
            seen = (await grid.look(device)).relieves_mw if wanted else 0.0
            if abs(seen - wanted) <= _TOLERANCE * wanted:
                return None
            return f"{device} relieves {seen:.2f} MW where {wanted:.2f} MW were ordered"

        act = _quick(_named(relieve, f"relieve-{device}"), undo=restore, verify=read_back)
        return [act, Check(_named(relieves, f"relieves-{device}"), timeout=_PATIENCE)]

    def _restoring(self, means: Feeder | Store) -> Action[Relief]:
        """Return what puts one device back."""
        device = means.name

        async def restore(choice: Relief, call: Call) -> Receipt:
            relieved = call.results[f"relieve-{device}"]
            assert isinstance(relieved, Receipt)
            return await self._restored(device, choice, relieved.reference)

        return _quick(_named(restore, f"restore-{device}"))

    async def _restored(self, device: str, choice: Relief, key: str) -> Receipt:
        if not choice.mw(device):
            return _NO_PART
        if await self.grid.read_back(device, key=key) is not None:
            await self._hold_until_bearable(device)
        return await self.grid.restore(device, key=key)

    async def _hold_until_bearable(self, device: str) -> None:
        """Go on only when the grid can bear a device back.

        Raises:
            HeldBack: It could not; it is looked at again in a second.
        """
        seen_hz, normal_hz = await self.grid.frequency_hz(), self.scheme.normal_hz
        back_mw, reserve_mw = (await self.grid.look(device)).relieves_mw, await self.grid.reserve_mw()
        if seen_hz < normal_hz:
            raise HeldBack(f"{device} is held: {seen_hz:.2f} Hz are not normal", code="frequency-low")
        if back_mw > reserve_mw:
            why = f"{back_mw:.1f} MW would come back, and {reserve_mw:.1f} MW are in reserve"
            raise HeldBack(f"{device} is held", why=why, code="no-reserve")

    async def _why_not_due(self, choice: Relief, call: Call) -> str | None:
        if not choice.parts:
            return "nothing can be relieved: every device is silent, protected or used up"
        late = self.scheme.why_too_late(_measured_at(call), self.clock.now())
        seen, low = await self.grid.frequency_hz(), self.scheme.low_hz
        passed = f"the frequency is {seen:.2f} Hz, not below {low:.2f} Hz any more" if seen >= low else None
        return late or passed


async def _refuse_if(why_not: Callable[[], Awaitable[str | None]]) -> None:
    """Go on only where nothing speaks against it; what does not answer to several looks does.

    Raises:
        EngineError: Something does; nothing was done.
    """
    reason: str | None = None
    for _ in range(_LOOKS):
        try:
            reason = await why_not()
            break
        except EngineError as error:
            reason = str(error)
    if reason is not None:
        raise EngineError(reason, code="unsafe")


def _quick(
    do: Callable[[Relief, Call], Awaitable[Receipt]],
    *,
    undo: Callable[[Relief, Call], Awaitable[Receipt]] | None = None,
    verify: Callable[[Relief, Call], Awaitable[Receipt | None]] | None = None,
) -> Action[Relief]:
    return Action(do=do, undo=undo, verify=verify, attempts=3, backoff=_QUICKLY, timeout=_PATIENCE)


def _named(function: F, name: str) -> F:
    function.__name__ = name
    return function


def _under(key: str, receipt: Receipt) -> Receipt:
    """Return a device's receipt by the key of its order, under which it can be taken back."""
    return Receipt(reference=key, detail=receipt.detail)


def _measured_at(call: Call) -> datetime:
    return datetime.fromisoformat(call.features.text("measured_at"))
