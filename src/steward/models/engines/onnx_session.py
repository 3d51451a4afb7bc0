"""ONNX Runtime, as a function from rows to answers: one thread, nothing but the CPU, nothing from outside."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from steward.errors import EngineError
from steward.models.formats.onnx_proto import Proven


@cache
def runtime() -> Any:
    """Return the library.

    Raises:
        EngineError: It is not installed.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an extra, loaded when the first such model is
    except ImportError as error:
        raise EngineError(
            "ONNX Runtime is not installed", fix="pip install 'steward-aios[onnx]'", code="engine-not-installed"
        ) from error
    return onnxruntime


class Session:
    """A checked model in the runtime's memory.

    Args:
        content: The model's bytes, proven by :func:`~steward.models.formats.onnx_proto.check`.
        proven: What it proved.
        output: The name of the output to answer with.

    Raises:
        EngineError: The runtime is not installed, or refuses the model.

    Example:
        >>> Session(b"", Proven((), (), ()), "Y")
        Traceback (most recent call last):
        steward.errors.EngineError: ONNX Runtime refuses a model. Why: ...
    """

    def __init__(self, content: bytes, proven: Proven, output: str) -> None:
        library = runtime()
        options = library.SessionOptions()
        # One thread: a batch of decisions is smaller than what it costs to wake a second one.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.use_deterministic_compute = True
        try:
            session = library.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            taken = proven.inputs[0]
        except Exception as error:
            raise EngineError("ONNX Runtime refuses a model", why=f"{error}"[:500]) from error
        # The wrapper looks up and checks what was checked at load: a fifth of the call.
        self._run = session._sess.run
        self._session = session
        self._input, self._outputs = taken.name, [output]
        self._is_single = taken.type == "float32"

    def __call__(self, rows: Any) -> Any:
        """Return the answers for ``(n, k)`` rows, as float64."""
        if self._is_single:
            with np.errstate(over="ignore"):  # what is too large for single precision is infinite there
                rows = rows.astype(np.float32)
        (answers,) = self._run(self._outputs, {self._input: rows}, None)
        return answers.astype(np.float64, copy=False)
