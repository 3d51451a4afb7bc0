"""Checks a model at its registration: its fastest form is compared with the original before it may serve.

Loading a model is what compiles it: a linear one to plain arithmetic, LightGBM's to its C library's prepared call, all
other trees and graphs to ONNX Runtime. What then answers is compared with the original on a sample, a batch with its
rows, and its speed is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

import numpy as np
from msgspec.structs import replace

from steward.clock import Clock
from steward.errors import EngineError
from steward.models.checked import Arithmetic, Checked
from steward.models.compilation.originals import Original, engine_name, original_of
from steward.models.loading import engine
from steward.models.manifest import Manifest, digest_of, encode
from steward.models.port import Classifying, LoadedModel

TOLERANCES: Mapping[Arithmetic, float] = {"float64": 1e-6, "float32": 1e-5}
"""The largest relative difference from the original, by the numbers that the engine computes with."""

OF_ROWS = frozenset({"regression", "binary", "multiclass"})
ALONE = 32
"""How many rows are also asked one by one."""

_MICROSECOND, _MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)
_TOGETHER, _TIMES, _BATCH = 16, 20, 100
_PATIENCE = timedelta(milliseconds=300)


def prove(
    manifest: Manifest,
    digest: str,
    files: Mapping[str, bytes],
    *,
    clock: Clock,
    original: Original | None = None,
    rows: Any = None,
    tolerance: float | None = None,
) -> Checked | None:
    """Load a model and prove that it answers as its original does.

    Args:
        manifest: What the model says of itself.
        digest: Its digest.
        files: Each file's name and bytes.
        clock: Tells how long answers take.
        original: What to compare with; by default what the kind of model has.
        rows: ``(n, k)`` rows to compare on, beside the generated ones.
        tolerance: The largest relative difference; by default 1e-6, and 1e-5 where the engine takes float32.

    Returns:
        What was found; nothing for what does not answer rows (a calibrator).

    Raises:
        EngineError: The engine is not installed, or failed, or its answers are not the original's (``code`` is
            ``model-inexact``).
        IntegrityError: The files are not a model of this kind.

    Example:
        >>> from datetime import UTC
        >>> from steward.clock import VirtualClock
        >>> from steward.models.engines.linear import LinearFile, Term
        >>> from steward.models.manifest import FileFacts, declared
        >>> term = Term("hour", coefficient=2.0, mean=11.5, missing=12.0)
        >>> files = {"model.json": LinearFile(intercept=1.0, terms=(term,)).to_bytes()}
        >>> made = datetime(2026, 1, 1, tzinfo=UTC)
        >>> manifest = declared("load", version=1, kind="linear", task="regression", inputs=("hour",), created_at=made,
        ...                     files={name: FileFacts.of(content) for name, content in files.items()})
        >>> prove(manifest, "sha256:00", files, clock=VirtualClock(made)).against
        'sums without rounding'
    """
    began = clock.now()
    model = engine(manifest.kind)(manifest, digest, files)
    if manifest.task not in OF_ROWS:
        return None
    known, sample = original_of(manifest, files)
    original = original or known
    if rows is not None:
        sample = np.vstack([np.asarray(rows, dtype=np.float64), sample])
    model.predict_one(sample[0].tolist())
    found = Checked(
        engine=engine_name(manifest.kind),
        arithmetic=_arithmetic(model),
        warm_up_ms=(clock.now() - began) / _MILLISECOND,
    )
    allowed = TOLERANCES[found.arithmetic] if tolerance is None else tolerance
    found = _compared(model, original, sample, replace(found, tolerance=allowed))
    return _timed(model, sample, found, clock)


def checked(
    manifest: Manifest,
    files: Mapping[str, bytes],
    *,
    clock: Clock,
    check: Callable[[Manifest, str, Mapping[str, bytes]], object] | None = None,
) -> Manifest:
    """Return a manifest with what was found; see :func:`prove`.

    Args:
        manifest: What is about to be registered.
        files: Each file's name and bytes.
        clock: Tells how long answers take.
        check: What checks them instead; it may return what it found.
    """
    found = (check or partial(prove, clock=clock))(manifest, digest_of(encode(manifest)), files)
    return replace(manifest, checked=found) if isinstance(found, Checked) else manifest


def _arithmetic(model: LoadedModel) -> Arithmetic:
    return cast("Arithmetic", getattr(model, "arithmetic", "float64"))


def _answers(model: LoadedModel, rows: Any) -> Any:
    """Return ``(n, c)``: the answers, or a classifier's probabilities."""
    asked = cast("Classifying", model).probabilities if model.task == "multiclass" else model.predict
    return asked(rows).reshape(len(rows), -1)


def _answer(model: LoadedModel, row: Sequence[float]) -> bytes:
    if model.task == "multiclass":
        return np.array(cast("Classifying", model).probabilities_one(row)).tobytes()
    return np.float64(model.predict_one(row)).tobytes()


def _compared(model: LoadedModel, original: Original | None, rows: Any, found: Checked) -> Checked:
    answers = _answers(model, rows)
    for at in range(min(ALONE, len(rows))):
        alone = (_answers(model, rows[at : at + 1]).tobytes(), _answer(model, rows[at].tolist()))
        if set(alone) != {answers[at : at + 1].tobytes()}:
            raise _inexact(model, rows[at], "answered alike alone and in a batch", "")
    if original is None:
        return replace(found, rows=len(rows))
    rows, answers, wanted = _of_original(model, original, rows, answers)
    missing = np.isnan(wanted)
    size = np.abs(np.where(missing, 0.0, wanted))
    scale = np.maximum(np.maximum(size, size.mean()), np.finfo(np.float64).tiny)
    with np.errstate(invalid="ignore"):
        apart = np.where(missing & np.isnan(answers), 0.0, np.abs(answers - wanted) / scale)
    worst = np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(axis=1)
    at = int(worst.argmax())
    if worst[at] > found.tolerance:
        many = f"{int((worst > found.tolerance).sum())} of {len(rows)} rows differ by more than {found.tolerance:g}"
        told = f"answered {_shown(wanted[at])} by {original.name} and {_shown(answers[at])} by {found.engine}; {many}"
        raise _inexact(model, rows[at], "answered as by its original", told)
    flipped = float((_choices(model, answers) != _choices(model, wanted)).mean())
    return replace(found, against=original.name, rows=len(rows), largest_difference=float(worst[at]), flipped=flipped)


def _of_original(model: LoadedModel, original: Original, rows: Any, answers: Any) -> tuple[Any, Any, Any]:
    """Return rows, answers and the original's; without the rows that lack a value, if it knows no missing values."""
    try:
        wanted = original.answer(rows)
    except ValueError:
        whole = ~np.isnan(rows).any(axis=1)
        rows, answers = rows[whole], answers[whole]
        wanted = original.answer(rows)
    wanted = np.asarray(wanted, dtype=np.float64).reshape(len(rows), -1)
    if model.task == "binary":
        wanted = wanted[:, -1:]
    if wanted.shape != answers.shape:
        raise EngineError(
            f"model {model.name!r} cannot be compared with its original",
            why=f"{original.name} answers {wanted.shape[1]} numbers a row, and {answers.shape[1]} are wanted",
            fix="give what answers with probabilities for a classifier, and with one number else",
            code="model-inexact",
        )
    return rows, answers, wanted


def _choices(model: LoadedModel, answers: Any) -> Any:
    """Return what a simple policy would make of the answers: the likeliest label, or whether yes is likelier."""
    if model.task == "multiclass":
        return np.argmax(answers, axis=1)
    return answers[:, 0] >= 0.5 if model.task == "binary" else np.zeros(len(answers))


def _shown(answer: Any) -> str:
    return ", ".join(f"{each:.9g}" for each in answer.tolist())


def _inexact(model: LoadedModel, row: Sequence[float], what: str, told: str) -> EngineError:
    shown = ", ".join(f"{name}={value!r}" for name, value in zip(model.inputs, np.asarray(row).tolist(), strict=True))
    return EngineError(
        f"model {model.name!r} is not {what}, so it is not registered",
        why=f"the row {shown} is {told}" if told else f"the row {shown} is not",
        fix="register it in another format, or state a larger tolerance if that is good enough",
        code="model-inexact",
    )


def _timed(model: LoadedModel, rows: Any, found: Checked, clock: Clock) -> Checked:
    """Measure the answers' times; a virtual clock measures none, so that its registrations are all alike."""
    lists = np.resize(rows, (_TOGETHER * _TIMES, rows.shape[1])).tolist()
    batch = np.ascontiguousarray(np.resize(rows, (_BATCH, rows.shape[1])))
    ends = clock.now() + _PATIENCE
    single = _durations(model.predict_one, lists, clock, ends)
    together = [lists[at : at + _TOGETHER] for at in range(0, len(lists), _TOGETHER)]
    # The clock counts microseconds, which a native answer needs but one or two of: the median is taken over several.
    medians = _durations(lambda few: [model.predict_one(row) for row in few], together, clock, ends + _PATIENCE)
    batches = _durations(model.predict, [batch] * _TIMES, clock, ends + 2 * _PATIENCE)
    return replace(
        found,
        p50_us=round(medians[len(medians) // 2] / _TOGETHER, 3),
        p99_us=single[min(len(single) - 1, round(len(single) * 0.99))],
        batch_p50_us=batches[len(batches) // 2],
    )


def _durations(ask: Callable[[Any], object], given: Sequence[Any], clock: Clock, ends: datetime) -> list[float]:
    """Return how many microseconds each call took, sorted."""
    took = []
    for each in given:
        began = clock.now()
        ask(each)
        now = clock.now()
        took.append((now - began) / _MICROSECOND)
        if now > ends:
            break
    return sorted(took)
