from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.data.history import Found, History, Source, mean, read_history
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.errors import ContractError

MADRID = LocalDays("Europe/Madrid")


def source(path: Path, **changed: object) -> Source:
    given: dict[str, object] = {"path": path, "time_column": "t", "zone": "Europe/Madrid", "price_column": "eur"}
    return Source(**{**given, **changed})  # type: ignore[arg-type]  # keyword arguments of mixed types


def write(folder: Path, *rows: str, header: str = "t,eur") -> Path:
    path = folder / "history.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def codes(history: History) -> list[str]:
    return [found.code for found in history.found]


def local_rows(start: datetime, hours: int) -> list[str]:
    moments = [(start + n * HOUR).astimezone(MADRID.tz) for n in range(hours)]
    return [f"{moment:%Y-%m-%dT%H:%M},{n}" for n, moment in enumerate(moments)]


@pytest.mark.parametrize("stamp", ["%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M:%S+00:00"])
def test_absolute_times_are_taken_as_they_are(tmp_path: Path, stamp: str) -> None:
    start = datetime(2018, 3, 24, 22, tzinfo=UTC)
    path = write(tmp_path, *[f"{start + n * HOUR:{stamp}},{n}" for n in range(5)])
    history = read_history(source(path))
    assert history.start == start
    assert history.columns["eur"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert history.found == ()


@pytest.mark.parametrize("day", [date(2018, 3, 25), date(2018, 10, 28), date(2018, 6, 1)])
def test_local_times_are_read_in_order_across_clock_changes(tmp_path: Path, day: date) -> None:
    start = MADRID.start(day)
    history = read_history(source(write(tmp_path, *local_rows(start, 30))))
    assert history.start == start
    assert history.columns["eur"].tolist() == list(map(float, range(30)))
    assert history.found == ()


def test_a_file_that_has_flattened_the_clock_changes_is_read(tmp_path: Path) -> None:
    spring = [f"2018-03-25T{hour:02}:00,{hour}" for hour in range(24)]
    history = read_history(source(write(tmp_path, *spring)))
    assert history.columns["eur"].tolist() == [0, 1, *range(3, 24)]
    assert codes(history) == ["unreal-times"]
    autumn = [f"2018-10-28T{hour:02}:00,{hour}" for hour in range(24)]
    history = read_history(source(write(tmp_path, *autumn)))
    assert np.isnan(history.columns["eur"]).nonzero()[0].tolist() == [3]
    assert codes(history) == ["gaps"]


def test_csv_gzip_and_parquet_read_alike(tmp_path: Path) -> None:
    rows = local_rows(datetime(2018, 1, 1, tzinfo=UTC), 50)
    plain = write(tmp_path, *rows)
    zipped, parquet, typed = tmp_path / "h.csv.gz", tmp_path / "h.parquet", tmp_path / "typed.parquet"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    polars.read_csv(plain).write_parquet(parquet)
    polars.read_csv(plain, try_parse_dates=True).write_parquet(typed)
    first = read_history(source(plain))
    for path in (zipped, parquet, typed):
        other = read_history(source(path))
        assert other.start == first.start
        assert other.columns["eur"].tolist() == first.columns["eur"].tolist()


def test_gaps_duplicates_and_disorder_are_found(tmp_path: Path) -> None:
    rows = [f"2018-01-01T{hour:02}:00Z,{hour}" for hour in range(24) if hour not in (7, 8)]
    rows[3], rows[4] = rows[4], rows[3]
    rows.append("2018-01-01T05:00Z,99")
    history = read_history(source(write(tmp_path, *rows)))
    assert history.rows == 24
    assert codes(history) == ["unordered", "duplicates", "gaps"]
    assert history.columns["eur"][5] == 5.0
    assert np.isnan(history.columns["eur"][[7, 8]]).all()
    assert history.filled("eur").tolist() == list(map(float, range(24)))


def test_empty_values_are_missing_and_counted(tmp_path: Path) -> None:
    rows = [f"2018-01-01T{hour:02}:00Z,{'' if hour == 3 else hour}" for hour in range(24)]
    history = read_history(source(write(tmp_path, *rows)))
    assert history.found == (Found("missing", "alert", "1 of 24 values of eur are missing"),)


def test_rows_off_the_grid_are_left_out_with_an_alert(tmp_path: Path) -> None:
    rows = [f"2018-01-01T{hour:02}:00Z,{hour}" for hour in range(10)]
    history = read_history(source(write(tmp_path, *rows, "2018-01-01T09:17Z,5")))
    assert codes(history) == ["off-grid"]
    assert history.rows == 10


def test_three_hourly_local_rows_hold_for_their_hours(tmp_path: Path) -> None:
    rows = [f"2018-10-{27 + n // 8}T{n % 8 * 3:02}:00,{n}" for n in range(16)]
    history = read_history(source(write(tmp_path, *rows)))
    assert history.step == HOUR
    assert history.columns["eur"][:6].tolist() == [0, 0, 0, 1, 1, 1]
    assert codes(history) == ["held", "gaps"]  # the night of the clock change has an hour more than the rows hold for


def test_finer_rows_become_hourly_means_of_the_local_clock() -> None:
    start = datetime(2018, 1, 1, 0, 15, tzinfo=UTC)
    history = History(LocalDays("UTC"), start, timedelta(minutes=15), {"x": np.arange(11.0)})
    hourly = history.hourly()
    assert hourly.start == datetime(2018, 1, 1, 1, tzinfo=UTC)
    assert hourly.columns["x"].tolist() == [4.5, 8.5]
    india = History(LocalDays("Asia/Kolkata"), datetime(2018, 1, 1, tzinfo=UTC), HOUR / 2, {"x": np.arange(5.0)})
    assert india.hourly().start == datetime(2018, 1, 1, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "changed", "says"),
    [
        (["2018-01-01T00:00Z,1", "yesterday,2"], {}, "row 2.*not a time"),
        (["2018-01-01T00:00Z,1", "2018-01-01T01:00Z,dear"], {}, "not numeric"),
        (["2018-01-01T00:00Z,1", "2018-01-01T01:00Z,inf"], {}, "infinities"),
        (["2018-01-01T00:00Z,1", "2018-01-01T00:00Z,2"], {}, "no two different times"),
        (["2018-01-01T00:00Z,1", "2018-01-01T01:00Z,2"], {"load_column": "mw"}, "no column 'mw'.*t, eur"),
        (["2018-01-01T00:00Z,1"], {}, "1 rows"),
        ([f"2018-01-01T{h:02}:{h * h % 60:02}Z,1" for h in range(20)], {}, "no regular step"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, rows: list[str], changed: dict[str, object], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        read_history(source(write(tmp_path, *rows), **changed))


def test_a_missing_or_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="there is no file"):
        read_history(source(tmp_path / "none.csv"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(ContractError, match="cannot be read"):
        read_history(source(tmp_path / "broken.parquet"))


@given(st.integers(-40, 60), st.integers(0, 40))
def test_between_gives_nan_where_history_does_not_reach(first: int, hours: int) -> None:
    start = datetime(2018, 1, 1, tzinfo=UTC)
    history = History(LocalDays("UTC"), start, HOUR, {"x": np.arange(24.0)})
    cut = history.between("x", start + first * HOUR, start + (first + hours) * HOUR)
    expected = [float(n) if 0 <= n < 24 else None for n in range(first, first + hours)]
    assert [None if np.isnan(value) else value for value in cut] == expected


def test_only_whole_days_count() -> None:
    history = History(LocalDays("UTC"), datetime(2018, 1, 1, 1, tzinfo=UTC), HOUR, {"x": np.zeros(60)})
    assert history.days(date(2018, 1, 1), date(2018, 2, 1)) == [date(2018, 1, 2)]


def test_the_mean_of_nothing_is_missing() -> None:
    assert mean(np.array([[1.0, 3.0], [np.nan, 5.0], [np.nan, np.nan]]), axis=1)[:2].tolist() == [2.0, 5.0]
    assert np.isnan(mean(np.array([np.nan])))
