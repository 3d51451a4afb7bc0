"""Models in ONNX's format, answered by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping

from steward.errors import EngineError, IntegrityError
from steward.models.engines.onnx_session import Session
from steward.models.engines.tabular import TabularModel, tabular
from steward.models.formats.onnx_proto import Port, Proven, Unsupported, check
from steward.models.formats.onnx_trees import PRODUCER
from steward.models.manifest import Manifest

FILE = "model.onnx"
ROWWISE = {
    "Abs", "Add", "ArgMax", "ArrayFeatureExtractor", "Cast", "Concat", "Div", "Identity", "Imputer", "Mul", "Neg",
    "Reshape", "Scaler", "Sub", "TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor",
}  # fmt: skip
"""Operators that compute each row, or each number, in one way only, however many there are."""


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> TabularModel:
    """Load a model from ``model.onnx``: one input ``(n, k)`` of floats, and one output of floats.

    A classifier answers with ``(n, c)`` probabilities in the order of the labels; of a binary one the second column
    (or the only one) is the probability of yes. Labels that it gives besides, as whole numbers, are not asked for.

    Raises:
        IntegrityError: The file is not such a model, or not the one the manifest describes.
        EngineError: It has external data, custom operators or others that are not served, or ONNX Runtime is not
            installed or refuses it.
    """
    if set(files) != {FILE}:
        raise _refused(manifest, f"its only file must be {FILE}, found {', '.join(sorted(files))}")
    try:
        proven = check(files[FILE])
        output = _described(proven, manifest)
    except Unsupported as error:
        raise EngineError(
            f"model {manifest.name!r} version {manifest.version} cannot be served",
            why=str(error),
            fix="export it as one file of ONNX's own operators, with one matrix of floats as input",
        ) from error
    except ValueError as error:
        raise _refused(manifest, f"{FILE}: {error}") from error
    rowwise = set(proven.operators) <= ROWWISE or proven.producer == PRODUCER
    model = tabular(manifest, digest, Session(files[FILE], proven, output.name), rowwise=rowwise)
    model.arithmetic = _arithmetic(proven)
    return model


def _arithmetic(proven: Proven) -> str:
    """Return ``float64`` if all that goes in and comes out is, else ``float32``."""
    floats = {port.type for port in (*proven.inputs, *proven.outputs) if port.type.startswith("float")}
    return "float64" if floats == {"float64"} else "float32"


def _described(proven: Proven, manifest: Manifest) -> Port:
    """Return the output to ask for, if inputs and outputs are those of the manifest."""
    if len(proven.inputs) != 1:
        names = ", ".join(port.name for port in proven.inputs) or "none"
        raise Unsupported(f"it must take one matrix, it takes {names}")
    taken, width = proven.inputs[0], len(manifest.inputs)
    if taken.type not in {"float32", "float64"} or len(taken.shape) != 2 or taken.shape[0] not in {None, 1}:
        raise Unsupported(f"its input {taken.name!r} is no matrix of floats with as many rows as one likes")
    if taken.shape[0] == 1:
        raise Unsupported(f"its input {taken.name!r} takes one row only: export it with a free first dimension")
    if taken.shape[1] not in {None, width}:
        raise ValueError(f"it takes {taken.shape[1]} inputs, and the manifest names {width}")
    floats = [port for port in proven.outputs if port.type in {"float32", "float64"}]
    if len(floats) != 1:
        raise Unsupported(f"it must have one output of floats, it has {len(floats)}")
    columns = floats[0].shape[1] if len(floats[0].shape) == 2 else None
    wanted = {"binary": (1, 2), "multiclass": (len(manifest.outputs),)}.get(manifest.task, (1,))
    if columns is not None and columns not in wanted:
        raise ValueError(f"it answers with {columns} columns, a {manifest.task} with {' or '.join(map(str, wanted))}")
    return floats[0]


def _refused(manifest: Manifest, why: str) -> IntegrityError:
    return IntegrityError(
        f"model {manifest.name!r} version {manifest.version} cannot be loaded",
        why=why,
        fix="export it to ONNX again, and register the file's bytes unchanged",
    )
