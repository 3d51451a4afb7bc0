"""The workflow's port: runs the steps of an action in order, remembers each result, waits, and takes back.

The ledger stays the only truth: what a person, a device or a webhook says is an entry first
(:mod:`steward.workflow.told`), and an engine is only asked to go on. It owns order, memory and waiting; nothing else.

Promises, each with a test of that name in :mod:`steward.testing.conformance`:

* ``each_result_is_remembered``: a step that is done is never done again; later steps are told its result.
* ``each_step_has_its_own_key``: every try of a step has one idempotency key, and no two steps share one.
* ``timers_survive_a_crash``: a wait ends when it would have ended without the crash.
* ``signals_survive_a_crash``: a signal is waited for on, and what was said before is kept.
* ``early_signals_are_kept``: what is said before it is waited for counts.
* ``a_missing_signal_fails_the_run``: without it in time, what was done is taken back.
* ``a_check_stops_what_is_not_safe``: when it says why not, what was done is taken back.
* ``doubt_is_read_back``: after a time-out or a crash, the world is read back before another try.
* ``failed_tries_are_repeated``: with growing, random waits, under the same key, as often as declared.
* ``undo_is_in_reverse``: when a step fails for good, exactly what was done is taken back, the last first.
* ``an_abort_takes_back``: at any point between two steps.
* ``a_failing_undo_halts``: with a question to an operator, who lets it be tried again.
* ``old_runs_finish_on_old_code``: a run goes on with the code that it began with; new runs take the new one.
* ``gone_code_halts_with_a_question``: a run whose code is gone never goes on silently with other code.
* ``a_waiting_run_is_a_row``: nothing is kept in memory of a run that waits, and asking too often does no harm.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from steward.ledger.run import Run


class Workflow(Protocol):
    """Lets runs go on; see the module's promises."""

    async def go_on(self, run: Run) -> datetime | None:
        """Do every move of a run that is due, and return when to look at it again.

        Calls for one run must not overlap. ``None`` says that it has ended, or goes on only with new entries.

        Args:
            run: What its entries say now.

        Raises:
            EngineError: The ledger or the engine does not answer. Nothing is lost; ask again.
        """
        ...
