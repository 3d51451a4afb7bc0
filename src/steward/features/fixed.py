"""Fixed point: the integers windows are kept in, and the one float expression each aggregate ends with.

Floats depend on the order they are added in; integers do not. Values become integers of ``1/scale`` at the door,
all sums are exact, and a float appears only in the last step. Both engines (online state and history) use the
same last step, so that they agree bit for bit.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from steward.clock import EPOCH
from steward.errors import ContractError

FIXED_LIMIT = 2**53 - 1
"""Largest magnitude of a fixed-point value: every integer up to it is exact as a float, too."""

_MICROSECOND = timedelta(microseconds=1)
_SUB_BITS = 6
_EXACT_BELOW = 2 << _SUB_BITS


def micros(when: datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly.

    Raises:
        ContractError: The time has no zone.

    Example:
        >>> from datetime import UTC
        >>> micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
        1000000
    """
    try:
        return (when - EPOCH) // _MICROSECOND
    except TypeError:
        raise ContractError(
            f"{when!r} is not an aware time", fix="give it a zone, for example datetime.now(UTC)"
        ) from None


def micros_of(length: timedelta) -> int:
    """Return a duration in microseconds, exactly."""
    return length // _MICROSECOND


def fixed(value: object, scale: int, field: str) -> int:
    """Return a number as an integer of ``1/scale``, rounded half to even.

    Raises:
        ContractError: It is not a finite number, or too large to be exact (2**53 or more after scaling).

    Example:
        >>> fixed(24.0625, 1000, "load_mw"), fixed(-7, 1000, "load_mw")
        (24062, -7000)
    """
    number = value if isinstance(value, (int, float)) else _as_float(value, field)
    try:
        scaled = round(number * scale)
    except (ValueError, OverflowError):
        raise ContractError(f"{field} must be a finite number, got {value!r}", field=field) from None
    if -FIXED_LIMIT <= scaled <= FIXED_LIMIT:
        return scaled
    raise ContractError(
        f"{field}={value!r} is too large to be kept exactly in units of 1/{scale}",
        fix="declare the feature with a smaller scale",
        field=field,
    )


def _as_float(value: object, field: str) -> float:
    # Decimal and other number types come here; text is not a number even if it looks like one.
    convert = None if isinstance(value, (str, bytes)) else getattr(value, "__float__", None)
    if convert is None:
        raise ContractError(f"{field} must be a number, got {value!r}", field=field)
    return float(convert())


def bucket_of(n: int) -> int:
    """Return the logarithmic bucket of a fixed-point value: 64 buckets an octave, in the order of the values.

    Integer arithmetic only, so that every engine puts a value into the same bucket. Below 128 a bucket is one value.

    Example:
        >>> bucket_of(0), bucket_of(-5), bucket_of(24_500_000)
        (0, -5, 1245)
    """
    size = -n if n < 0 else n
    if size < _EXACT_BELOW:
        return n
    shift = size.bit_length() - _SUB_BITS - 1
    bucket = (shift << _SUB_BITS) + (size >> shift)
    return -bucket if n < 0 else bucket


def bucket_middle_doubled(bucket: int) -> int:
    """Return twice the middle of a bucket, an integer; the middle is within 1/128 of every value in the bucket."""
    size = -bucket if bucket < 0 else bucket
    shift = max((size >> _SUB_BITS) - 1, 0)
    doubled = ((size - (shift << _SUB_BITS)) << (shift + 1)) + (1 << shift) - 1
    return -doubled if bucket < 0 else doubled


def mean_value(count: int, total: int, scale: int) -> float:
    """Return a mean of ``count`` > 0 values."""
    return float(total) / (count * scale)


def quantile_value(bucket: int, scale: int) -> float:
    """Return the value that stands for a bucket."""
    return float(bucket_middle_doubled(bucket)) / (2 * scale)
