"""Which format a file is in, told by its bytes; what is not on the list of allowed ones is refused by its name.

There is no fallback: a file of no known format is no model. Formats that run code when they are read (pickle and all
that is built on it) are recognised so that whoever has one learns what to save instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from steward.errors import ContractError

MAX_SAFETENSORS_HEADER_BYTES: Final = 100_000_000
"""The longest header that the format allows."""


class Format(StrEnum):
    r"""A format that models may be in; its value is also the kind of model that has such a file.

    Example:
        >>> sniff("model.txt", b"tree\nversion=v4\n").value
        'lightgbm'
    """

    LIGHTGBM = "lightgbm"
    """LightGBM's text, of ``Booster.save_model()``."""
    XGBOOST = "xgboost"
    """XGBoost's JSON or UBJSON, of ``save_model("model.json")`` or ``save_model("model.ubj")``."""
    LINEAR = "linear"
    """``steward.linear/1``, a linear or logistic regression as JSON."""
    ONNX = "onnx"
    """An ONNX graph in one file, without external data."""
    SAFETENSORS = "safetensors"
    """Arrays in the safetensors format."""
    SKOPS = "skops"
    """A scikit-learn object, of ``skops.io.dump()``."""
    JSON = "json"
    """Any other JSON object: what goes with a model, as the names of its classes; alone it is none."""


KINDS: Final[Mapping[str, frozenset[Format]]] = {
    "lightgbm": frozenset({Format.LIGHTGBM}),
    "xgboost": frozenset({Format.XGBOOST}),
    "linear": frozenset({Format.LINEAR}),
    "onnx": frozenset({Format.ONNX, Format.JSON}),
    "safetensors": frozenset({Format.SAFETENSORS, Format.JSON}),
    "skops": frozenset({Format.SKOPS}),
}
"""Kind of model, to the formats that its files may be in; any other kind (a policy, a calibrator) is made of JSON."""

NAMES: Final[Mapping[Format, str]] = {
    Format.LIGHTGBM: "model.txt",
    Format.XGBOOST: "model.json",
    Format.LINEAR: "model.json",
    Format.ONNX: "model.onnx",
    Format.SAFETENSORS: "model.safetensors",
    Format.SKOPS: "model.skops",
}
"""What the engines call the one file of a format, whatever it was called where it came from."""

_TO_ONNX: Final = "export the model to ONNX, or save its arrays with safetensors"
_SKLEARN: Final = "save it with skops.io.dump(), or convert it to ONNX with skl2onnx"
_FILE: Final = "register the model's own file, in one of the formats {}".format(
    ", ".join(each for each in Format if each is not Format.JSON)
)
_UNPACK: Final = "unpack it, and register the model's file itself"


class Foreign(NamedTuple):
    """A format that is recognised and refused.

    Attributes:
        name: What it is.
        instead: What to do instead.

    Example:
        >>> foreign(b"CBM1....").name
        "CatBoost's binary format"
    """

    name: str
    instead: str


_AS_JSON: Final = 'save it with save_model("model.json")'
_PICKLE: Final = Foreign(
    "a Python pickle (pickle, joblib, cloudpickle, torch.save), which runs code when read", _SKLEARN
)
_TORCH: Final = Foreign("a PyTorch file (torch.save), which holds a pickle that runs code when read", _TO_ONNX)
_KERAS: Final = Foreign("a Keras file, which may hold code", "export the model to ONNX with model.export()")
_MAGIC: Final[tuple[tuple[int, bytes, Foreign], ...]] = (
    (0, b"\x89HDF\r\n\x1a\n", Foreign("an HDF5 file (Keras .h5), which may hold code", _KERAS.instead)),
    (0, b"\x93NUMPY", Foreign("a NumPy array (.npy), which may hold a pickle", "save arrays with safetensors")),
    (0, b"\x1f\x8b", Foreign("a gzip file (joblib's compress makes such, R's .rds too)", f"{_UNPACK}; {_SKLEARN}")),
    (0, b"BZh", Foreign("a bzip2 file (joblib's compress makes such)", f"{_UNPACK}; {_SKLEARN}")),
    (0, b"\xfd7zXZ\0", Foreign("an xz file (joblib's compress makes such)", f"{_UNPACK}; {_SKLEARN}")),
    (0, b"]\0\0", Foreign("an lzma file (joblib's compress makes such)", f"{_UNPACK}; {_SKLEARN}")),
    (0, b"\x04\x22\x4d\x18", Foreign("an lz4 file (joblib's compress makes such)", f"{_UNPACK}; {_SKLEARN}")),
    (0, b"\x28\xb5\x2f\xfd", Foreign("a zstandard file", _UNPACK)),
    (0, b"ZF0x", Foreign("an old joblib file, which holds a pickle that runs code when read", _SKLEARN)),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7-Zip archive", _UNPACK)),
    (0, b"Rar!\x1a\x07", Foreign("a RAR archive", _UNPACK)),
    (257, b"ustar", Foreign("a tar archive (Keras, NeMo and SageMaker use such)", _UNPACK)),
    (4, b"TFL3", Foreign("a TensorFlow Lite file", "export the model to ONNX with tf2onnx")),
    (0, b"GGUF", Foreign("a GGUF file", "serve it with an OpenAI-compatible server and declare it as chat")),
    (0, b"lmgg", Foreign("a GGML file", "convert it to GGUF and serve it with an OpenAI-compatible server")),
    (0, b"CBM1", Foreign("CatBoost's binary format", 'save it with save_model("model.onnx", format="onnx")')),
    (0, b"binf", Foreign("XGBoost's old binary format", _AS_JSON)),
    (0, b"bs64", Foreign("XGBoost's old text format", _AS_JSON)),
    (0, b"booster[0]", Foreign("a text dump of XGBoost, which cannot answer", _AS_JSON)),
    (0, b"RDX", Foreign("an R workspace, which runs code when read", _TO_ONNX)),
    (0, b"MATLAB 5.0", Foreign("a MATLAB file", _TO_ONNX)),
    (0, b"\x7fELF", Foreign("a program (ELF)", _FILE)),
    (0, b"MZ", Foreign("a program (Windows)", _FILE)),
    (0, b"\xcf\xfa\xed\xfe", Foreign("a program (Mach-O)", _FILE)),
    (0, b"\xca\xfe\xba\xbe", Foreign("a program (Java or Mach-O)", _FILE)),
    (0, b"#!", Foreign("a script", _FILE)),
    (0, b"PAR1", Foreign("a Parquet file: data, not a model", _FILE)),
    (0, b"ARROW1", Foreign("an Arrow file: data, not a model", _FILE)),
    (0, b"SQLite format 3\0", Foreign("an SQLite database", _FILE)),
    (0, b"%PDF-", Foreign("a PDF document", _FILE)),
    (0, b"tree\r\n", Foreign("LightGBM's text with other line ends", "copy it as binary, so that no byte changes")),
    (0, b"tree=", Foreign("LightGBM's text without its head", "save it again with Booster.save_model()")),
)
_UBJSON: Final = b"{L\0\0\0\0\0\0\0\x07learner"
_IN_ZIP: Final[tuple[tuple[bytes, Foreign], ...]] = (
    (b"data.pkl", _TORCH),
    (b"constants.pkl", _TORCH),
    (b".pkl", _PICKLE),
    (b".pickle", _PICKLE),
    (b".joblib", _PICKLE),
    (b"model.weights.h5", _KERAS),
    (b"keras_metadata", _KERAS),
    (b"saved_model.pb", Foreign("a TensorFlow SavedModel in a ZIP", "export the model to ONNX with tf2onnx")),
    (b"model.ini", Foreign("an H2O MOJO", _TO_ONNX)),
    (b"__main__.py", Foreign("a Python program in a ZIP", _FILE)),
    (b".class", Foreign("a Java archive", _FILE)),
    (b"manifest.json", Foreign("an archive of a registered model", "take it in with: steward models import FILE")),
)
_TEXTS: Final[tuple[tuple[re.Pattern[bytes], Foreign], ...]] = (
    (re.compile(rb"\s*<(?:\?xml|PMML)"), Foreign("an XML file (PMML, for one)", _TO_ONNX)),
    (re.compile(rb"(?:artifact_path|flavors|mlflow_version|model_uuid):"), Foreign("MLflow's MLmodel file", _FILE)),
    (re.compile(rb"\s*(?:import|from|def|class|@)\b"), Foreign("Python source", "code comes with your own package")),
    # Protocols 0 and 1 of pickle begin with what they hold: an object's class, a list or a dict.
    (re.compile(rb"\(?c[\w.]+\r?\n[\w.<>]+\r?\n|\([ld]p\d|[\]}]q"), _PICKLE),
)


def sniff(name: str, content: bytes) -> Format:
    r"""Return the format of a file, from what is in it.

    That is no proof that it is well-formed: the engine of its kind finds that out.

    Args:
        name: The file's name, for the message.
        content: All of its bytes.

    Raises:
        ContractError: It is in no format that models may be in (``code`` is ``model-format``).

    Example:
        >>> sniff("model.json", b'{"format": "steward.linear/1", "intercept": 0.5, "terms": []}').value
        'linear'
        >>> sniff("model.pkl", b"\x80\x04\x95...")
        Traceback (most recent call last):
        steward.errors.ContractError: model.pkl is a Python pickle ... Next: save it with skops.io.dump(), or ...
    """
    if (known := foreign(content)) is not None:
        raise ContractError(f"{name} is {known.name}", fix=known.instead, code="model-format", field=name)
    if content.startswith(b"tree\n"):
        return Format.LIGHTGBM
    if content.startswith(b"PK\x03\x04"):
        if b"schema.json" in _names(content):
            return Format.SKOPS
        raise _unknown(name, "it is a ZIP archive of something else")
    if content.startswith(_UBJSON):
        return Format.XGBOOST
    if content[8:9] == b"{":
        return _safetensors(name, content)
    if content[:1] == b"{" or content[:64].lstrip()[:1] == b"{":
        return _json(name, content)
    if content[:1] == b"\x08":
        return _onnx(name, content)
    raise _unknown(name, f"it begins with {ascii(content[:16])[2:-1]}" if content else "it is empty")


def foreign(content: bytes) -> Foreign | None:
    r"""Return what a file is, if it is of a format that is known and not taken.

    Example:
        >>> foreign(b"tree\nversion=v4\n") is None
        True
    """
    # A pickle of protocol 2 and later begins with its number; ONNX and UTF-8 text never do.
    if content[:1] == b"\x80" and content[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return _PICKLE
    for at, magic, known in _MAGIC:
        if content[at : at + len(magic)] == magic:
            return known
    if content[:1] == b"\x78" and content[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        return Foreign("a zlib file (joblib's compress makes such)", f"{_UNPACK}; {_SKLEARN}")
    if content.startswith(b"PK\x03\x04"):
        names = _names(content)
        return next((known for mark, known in _IN_ZIP if mark in names), _npz(names))
    if content[8:9] != b"{":  # the length of a safetensors header may look like anything
        head = content[:512]
        return next((known for pattern, known in _TEXTS if pattern.match(head)), None)
    return None


def _names(content: bytes) -> bytes:
    """Return the part of a ZIP that lists what is in it, without looking closer."""
    end = content.rfind(b"PK\5\6")
    start = int.from_bytes(content[end + 16 : end + 20], "little")
    return content[start:end] if end > 0 else b""


def _npz(names: bytes) -> Foreign | None:
    if b".npy" not in names or b"schema.json" in names:
        return None
    return Foreign("NumPy arrays (.npz), which may hold pickles", "save arrays with safetensors")


def _safetensors(name: str, content: bytes) -> Format:
    length = int.from_bytes(content[:8], "little")
    if length > MAX_SAFETENSORS_HEADER_BYTES or 8 + length > len(content):
        raise _unknown(name, f"as safetensors its header would have {length} bytes, and the file has {len(content)}")
    return Format.SAFETENSORS


class _Top(Struct, frozen=True):
    """The keys of a JSON file that tell which it is."""

    format: Raw | UnsetType = UNSET
    learner: Raw | UnsetType = UNSET
    tree_info: Raw | UnsetType = UNSET
    oblivious_trees: Raw | UnsetType = UNSET


def _json(name: str, content: bytes) -> Format:
    try:
        top = msgspec.json.decode(content, type=_Top)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _unknown(name, f"it begins as JSON and is none: {error}") from error
    if top.tree_info is not UNSET:
        raise _refused(name, "LightGBM's JSON dump, which cannot be loaded", "save it with Booster.save_model()")
    if top.oblivious_trees is not UNSET:
        raise _refused(name, "CatBoost's JSON", 'save it with save_model("model.onnx", format="onnx")')
    if top.learner is not UNSET:
        return Format.XGBOOST
    return Format.LINEAR if isinstance(top.format, Raw) and bytes(top.format) == b'"steward.linear/1"' else Format.JSON


_GRAPH, _OPSETS = 7, 8
_ONNX_FIELDS: Final[Mapping[int, int]] = {
    1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, _GRAPH: 2, _OPSETS: 2, 14: 2, 20: 2, 25: 2, 26: 2,
}  # fmt: skip
"""The fields of ONNX's ModelProto, to how each is written: 0 a number, 2 a length and bytes."""


def _onnx(name: str, content: bytes) -> Format:
    """Walk the fields of the outermost message: all that lengths promise must be there, and a graph among it."""
    seen: set[int] = set()
    at = 0
    try:
        while at < len(content):
            tag, at = _varint(content, at)
            field = tag >> 3
            if _ONNX_FIELDS.get(field) != tag & 7:
                raise ValueError(f"it has a field {field} that ONNX does not have")
            value, at = _varint(content, at)
            at += value if tag & 7 else 0
            seen.add(field)
        if at > len(content) or not {1, _GRAPH, _OPSETS} <= seen:
            raise ValueError("it ends too early" if at > len(content) else "it has no graph")
    except ValueError as error:
        raise _unknown(name, f"it begins like ONNX and is none: {error}") from error
    return Format.ONNX


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(content[at : at + 10]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError("a number in it has no end")


def check_kind(kind: str, files: Mapping[str, bytes]) -> None:
    r"""Refuse files that a model of this kind does not have; what they are is told by their bytes.

    Args:
        kind: The kind of model, as ``lightgbm``.
        files: Each file's name and bytes.

    Raises:
        ContractError: A file is in another format, or in none that models may be in (``code`` is ``model-format``).

    Example:
        >>> check_kind("lightgbm", {"model.txt": b"tree\nversion=v4\n"})
    """
    allowed = KINDS.get(kind, {Format.JSON})
    for name, content in files.items():
        found = sniff(name, content)
        if found not in allowed:
            raise ContractError(
                f"{name} is a file of kind {found.value!r}, and the model is registered as {kind!r}",
                fix=f"register it as {found.value!r}" if found.value in KINDS else _FILE,
                code="model-format",
                field=name,
            )


def kind_of(files: Mapping[str, bytes]) -> str:
    r"""Return the kind of model that files are, told by their bytes.

    Raises:
        ContractError: They are of several kinds or of none (``code`` is ``model-format``).

    Example:
        >>> kind_of({"model.txt": b"tree\nversion=v4\n"})
        'lightgbm'
    """
    found = sorted({sniff(name, content) for name, content in files.items()} - {Format.JSON})
    if len(found) != 1:
        what = "several kinds: " + ", ".join(found) if found else "no kind of model"
        raise ContractError(f"the files are of {what}", fix="give the files of one model", code="model-format")
    return found[0].value


def stored_name(name: str, content: bytes) -> str:
    r"""Return what the engines call a file, told by its bytes; a JSON file keeps its name.

    Raises:
        ContractError: It is in no format that models may be in (``code`` is ``model-format``).

    Example:
        >>> stored_name("churn_v3.txt", b"tree\nversion=v4\n")
        'model.txt'
    """
    found = sniff(name, content)
    return "model.ubj" if content.startswith(_UBJSON) else NAMES.get(found, name)


def _refused(name: str, what: str, instead: str) -> ContractError:
    return ContractError(f"{name} is {what}", fix=instead, code="model-format", field=name)


def _unknown(name: str, why: str) -> ContractError:
    return ContractError(
        f"{name} is in no format that models may be in", why=why, fix=_FILE, code="model-format", field=name
    )
