"""What the loop asks of a loaded model, whatever made it.

Promises, each with a test of that name in :mod:`steward.testing.conformance`:

* ``batch_equals_rows``: ``predict`` of n rows gives bit for bit what ``predict_one`` gives for each.
* ``same_bytes_same_answer``: the same artefact, loaded twice, answers the same.
* ``missing_is_nan``: NaN stands for a missing value and is answered, not refused, where the format knows missing
  values.
* ``wrong_width_is_refused``: rows of another width raise ``EngineError``.
* ``attribution_adds_up``: contributions and bias sum to the raw prediction (to 1e-6 relative).
* ``likeliest_label_is_predicted``: a classifier answers with the place of its likeliest label among ``outputs``, the
  first of equals.
* ``probabilities_of_a_batch_equal_rows``: its probabilities of n rows are bit for bit those of each; those of a row
  add up to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class LoadedModel(Protocol):
    """A model in memory, verified, ready to answer."""

    @property
    def name(self) -> str:
        """Its name in the registry."""
        ...

    @property
    def version(self) -> str:
        """Its registered version, a number as text."""
        ...

    @property
    def digest(self) -> str:
        """``sha256:`` of the artefact's manifest, which names the digest of each file."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of its input columns, in order."""
        ...

    @property
    def task(self) -> str:
        """``regression``, ``binary`` (a probability) or ``multiclass`` (the place of a label, see ``Classifying``)."""
        ...

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` float64 answers for ``(n, k)`` float64 rows; NaN means missing."""
        ...

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the answer for one row; the fast path."""
        ...


class Attributing(Protocol):
    """The ability to say what each input contributed."""

    def attribute(self, rows: Any) -> Any:
        """Return ``(n, k + 1)`` float64: each input's contribution to the raw output, then the bias.

        Of a classifier it is the raw output of the label that it answers with.
        """
        ...


class Turning(Protocol):
    """The ability to say where an answer may turn, so that nobody has to search for it."""

    @property
    def turns(self) -> Mapping[str, Sequence[float]]:
        """By input: the numbers up to which the answer may be one thing and above it another, lowest first."""
        ...

    @property
    def seen(self) -> Mapping[str, tuple[float, float]]:
        """By input: the lowest and the highest number seen in training, where that is known."""
        ...


class Classifying(Protocol):
    """The ability to tell several labels apart; its ``task`` is ``multiclass``."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The labels, in the order of the probabilities."""
        ...

    def probabilities(self, rows: Any) -> Any:
        """Return ``(n, c)`` float64 probabilities for ``(n, k)`` float64 rows; NaN means missing."""
        ...

    def probabilities_one(self, row: Sequence[float]) -> Sequence[float]:
        """Return the probability of each label for one row; the fast path."""
        ...
