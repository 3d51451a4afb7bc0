"""What the loop asks of a model that is served: by workers of this process, by another server, or by somebody else.

Promises, each with a test of that name in :mod:`steward.testing.conformance.serving`:

* ``same_bytes_same_answer``: the same question is answered the same, also by an engine that was opened anew.
* ``batch_equals_rows``: a batch is answered with what each of its questions is answered with alone, in their order.
* ``nothing_asked_nothing_answered``: an empty batch is answered with nothing, and reaches nobody.
* ``deadline_is_kept``: within ``within_s`` there are answers, or an ``EngineError`` with the code ``deadline``; what
  comes later is thrown away.
* ``wrong_question_is_refused``: what cannot be answered at all is an ``EngineError`` that is not retryable.
* ``failure_is_typed``: whatever happens to the other side is an ``EngineError``, retryable if asking again may help.
* ``failed_engine_answers_again``: once the other side is well again, so is the engine, without being opened anew.
* ``cancelled_question_leaves_nothing``: who goes away while being answered holds no place, and the next is answered.
* ``concurrent_questions_are_told_apart``: each of many who ask at once gets the answer to their own question.
* ``closed_engine_refuses``: after ``close`` every question raises ``EngineError``; closing twice is fine.

An engine is one file here, one row in ``runtime/engines.py`` and one suite that inherits the conformance class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from steward.errors import EngineError
from steward.records import Money, ServingFacts

Q_contra = TypeVar("Q_contra", contravariant=True)
Row = Sequence[float]
"""A question to a model of numbers: its inputs in their order; NaN means missing."""
DEADLINE: Final = "deadline"
"""The code of an error that says that there was no answer in time."""


class Answered(Struct, frozen=True):
    """The answer to one question.

    Attributes:
        value: A number (regression, or a probability), a tuple of probabilities in the order of the labels, or the
            value that a chat's answer was decoded to.
        facts: Who answered, as it stands in the record; shared by the answers of one batch.
        confidence: How sure the answerer says it is (0..1), if it says.
        cost: What the answer has cost, if it costs anything.

    Example:
        >>> Answered(0.93, ServingFacts(endpoint="models-eu", region="eu")).facts.endpoint
        'models-eu'
    """

    value: object
    facts: ServingFacts
    confidence: float | None = None
    cost: Money | None = None


class Charged(EngineError):
    """An answer that is of no use, but has cost something.

    Example:
        >>> Charged("the answer does not fit its schema", code="chat-misfit", cost=None).retryable
        False
    """

    def __init__(self, what: str, *, cost: Money | None, why: str = "", fix: str = "", code: str) -> None:
        super().__init__(what, why=why, fix=fix, code=code)
        self.cost = cost


class Served(Protocol[Q_contra]):
    """A model behind an engine."""

    @property
    def name(self) -> str:
        """What records and errors call the engine: its endpoint."""
        ...

    @property
    def load(self) -> float:
        """The share of its places that is taken now; above 1 somebody waits."""
        ...

    async def answer(self, questions: Sequence[Q_contra], *, within_s: float) -> Sequence[Answered | EngineError]:
        """Answer each question; one that fails alone has its error in the place of its answer.

        Args:
            questions: Asked together. To a model of numbers: rows. To a chat: the named values of its template.
            within_s: How long it may take, waiting included.

        Raises:
            EngineError: None could be answered; ``retryable`` says whether asking again may help.
        """
        ...

    async def close(self) -> None:
        """Let go of workers and connections."""
        ...


def too_late(name: str, within_s: float) -> EngineError:
    """Return the error of a question that was not answered in time.

    Example:
        >>> too_late("models-eu", 0.5).code
        'deadline'
    """
    return EngineError(
        f"{name} has not answered within {within_s:g} s", retryable=True, fix="try again, or allow more", code=DEADLINE
    )


def closed(name: str) -> EngineError:
    """Return the error of an engine that was closed.

    Example:
        >>> closed("models-eu").retryable
        False
    """
    return EngineError(f"{name} is closed", fix="open it again", code="serving-closed")
