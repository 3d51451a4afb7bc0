"""LightGBM's C library, found and called without importing its Python package.

The package takes a second and SciPy to import; predicting needs neither. Functions, types and codes are those of
LightGBM's ``c_api.h``.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, addressof, c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from steward.errors import EngineError

NORMAL, CONTRIBUTIONS = 0, 3
"""What to predict: ``C_API_PREDICT_NORMAL``, ``C_API_PREDICT_CONTRIB``."""

FLOAT64 = 1
"""``C_API_DTYPE_FLOAT64``."""

PARAMETERS = b"num_threads=1 verbosity=-1"
"""One thread: a batch of decisions is smaller than what it costs to wake a second one, and cores are for requests."""

_FILES = ("lib/lib_lightgbm.so", "lib/lib_lightgbm.dylib", "bin/lib_lightgbm.dll", "lib/lib_lightgbm.dll")
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "LGBM_BoosterLoadModelFromString": (c_char_p, POINTER(c_int), POINTER(c_void_p)),
    "LGBM_BoosterFree": (c_void_p,),
    "LGBM_BoosterPredictForMat": (
        c_void_p, c_void_p, c_int, c_int32, c_int32, c_int, c_int, c_int, c_int, c_char_p, POINTER(c_int64), c_void_p,
    ),
    "LGBM_BoosterPredictForMatSingleRowFastInit": (
        c_void_p, c_int, c_int, c_int, c_int, c_int32, c_char_p, POINTER(c_void_p),
    ),
    "LGBM_BoosterPredictForMatSingleRowFast": (c_void_p, c_void_p, c_void_p, c_void_p),
    "LGBM_FastConfigFree": (c_void_p,),
}  # fmt: skip


@cache
def library() -> ctypes.CDLL:
    """Return LightGBM's C library.

    Raises:
        EngineError: It is not installed, or cannot be loaded.
    """
    package = find_spec("lightgbm")
    places = package.submodule_search_locations if package is not None else None
    if not places:
        raise EngineError(
            "LightGBM is not installed", fix="pip install 'steward-aios[lightgbm]'", code="engine-not-installed"
        )
    path = next((path for place in places for file in _FILES if (path := Path(place, file)).is_file()), None)
    try:
        if path is None:
            raise OSError(f"there is none of {', '.join(_FILES)} in {places[0]}")
        loaded = ctypes.CDLL(str(path))
        for name, arguments in _SIGNATURES.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = c_int, arguments
        loaded.LGBM_GetLastError.restype, loaded.LGBM_GetLastError.argtypes = c_char_p, ()
    except (OSError, AttributeError) as error:
        raise EngineError(
            "LightGBM's library cannot be loaded",
            why=str(error),
            fix="install LightGBM 4 again: pip install --force-reinstall 'lightgbm>=4.6' (it needs libgomp1)",
            code="engine-not-installed",
        ) from error
    return loaded


def last_error() -> str:
    """Return what LightGBM said last of a failure in this thread."""
    said: bytes = library().LGBM_GetLastError()
    return said.decode(errors="replace")


class Booster:
    """A model in the library's memory, freed with this object.

    Args:
        text: A checked model.

    Raises:
        EngineError: The library refuses it.

    Example:
        >>> Booster(b"tree")
        Traceback (most recent call last):
        steward.errors.EngineError: LightGBM refuses a model. Why: ...
    """

    handle: c_void_p

    def __init__(self, text: bytes) -> None:
        self._free = library().LGBM_BoosterFree
        handle, trees = c_void_p(), c_int()
        if library().LGBM_BoosterLoadModelFromString(text, trees, handle):
            raise EngineError("LightGBM refuses a model", why=last_error())
        self.handle = handle

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            self._free(self.handle)


class FastRow:
    """The library's prepared prediction of one row; it has state, so each thread needs its own.

    Attributes:
        row: Where the row's inputs are put before ``call``.
        call: Predicts; returns other than 0 on failure.
        answer: Where ``call`` puts the answers.
        at: The same with the addresses of another row, of ``length``, and for the answer.
        length: Where the call puts the number of answers.

    Args:
        booster: The model; kept alive as long as this.
        width: How many inputs a row has.
        outputs: How many answers a row gets.

    Raises:
        EngineError: The library refuses the width.

    Example:
        >>> from steward.testing.conformance.models import STUMP
        >>> booster = Booster(STUMP)
        >>> fast = FastRow(booster, 1)
        >>> fast.row[0] = 3.0
        >>> fast.call(), fast.answer[0]
        (0, 10.0)
    """

    def __init__(self, booster: Booster, width: int, outputs: int = 1) -> None:
        self._free = library().LGBM_FastConfigFree
        configuration = c_void_p()
        if library().LGBM_BoosterPredictForMatSingleRowFastInit(
            booster.handle, NORMAL, 0, -1, FLOAT64, width, PARAMETERS, configuration
        ):
            raise EngineError("LightGBM cannot prepare a model for single rows", why=last_error())
        self._booster, self._configuration = booster, configuration
        self.row, self.answer, self._length = (c_double * width)(), (c_double * outputs)(), c_int64()
        predict = library().LGBM_BoosterPredictForMatSingleRowFast
        length, answer = c_void_p(addressof(self._length)), c_void_p(addressof(self.answer))
        self.call = partial(predict, configuration, c_void_p(addressof(self.row)), length, answer)
        self.at = partial(predict, configuration)
        self.length = length

    def __del__(self) -> None:
        if hasattr(self, "_configuration"):
            self._free(self._configuration)
