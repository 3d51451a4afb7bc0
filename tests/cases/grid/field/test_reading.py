from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from steward.cases.grid.field.reading import Quality, Reading
from steward.errors import ContractError

NOON = datetime(2018, 1, 1, 12, tzinfo=UTC)


def reading(
    value: float | None = 4.2,
    quality: Quality = Quality.GOOD,
    source_time: datetime = NOON,
    server_time: datetime = NOON,
) -> Reading:
    return Reading(
        mrid="feeder-1",
        reading_type="load_mw",
        value=value,
        quality=quality,
        source_time=source_time,
        server_time=server_time,
    )


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        (0x0000_0000, Quality.GOOD),
        (0x3FFF_FFFF, Quality.GOOD),
        (0x4092_0000, Quality.UNCERTAIN),
        (0x8031_0000, Quality.BAD),
        (0xFFFF_FFFF, Quality.BAD),
    ],
)
def test_quality_is_the_severity_of_the_status_code(status: int, quality: Quality) -> None:
    assert Quality.of_status(status) is quality


@pytest.mark.parametrize("status", [-1, 0x1_0000_0000])
def test_a_status_code_has_32_bits(status: int) -> None:
    with pytest.raises(ContractError):
        Quality.of_status(status)


def test_only_a_value_of_good_quality_is_good() -> None:
    assert reading().is_good
    assert not reading(value=None).is_good
    assert not reading(quality=Quality.UNCERTAIN).is_good
    assert not reading(quality=Quality.BAD).is_good


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_no_reading(value: float) -> None:
    with pytest.raises(ContractError, match="no reading"):
        reading(value=value)


def test_both_times_have_a_zone() -> None:
    bare = NOON.replace(tzinfo=None)
    with pytest.raises(ContractError, match="source_time"):
        reading(source_time=bare)
    with pytest.raises(ContractError, match="server_time"):
        reading(server_time=bare)


def test_it_travels_as_json_and_comes_back_equal() -> None:
    sent = reading(value=None, quality=Quality.BAD)
    assert msgspec.json.decode(msgspec.json.encode(sent), type=Reading) == sent
