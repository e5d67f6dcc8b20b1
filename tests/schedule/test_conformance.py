"""The cron scenarios of MassTransit's own tests (their numbers: I01 to I57), as this dialect has them.

``DIFFERENT`` are those that differ on purpose; the page "Coming from MassTransit" lists them.
"""

from __future__ import annotations

import pytest

from jobsaga.exceptions import InvalidSchedule
from jobsaga.schedule import Every, as_cron
from tests.schedule.looking import days, runs, runs_at


@pytest.mark.parametrize(
    ("schedule", "year", "month", "expected"),
    [
        pytest.param("0 15 10 L-2 * ? ", 2010, 10, [29], id="I02"),
        pytest.param("0 15 10 L-5W * ?", 2010, 10, [26], id="I02 nearest weekday"),
        pytest.param("0 15 10 L-1 * ?", 2010, 10, [30], id="I02 a Saturday"),
        pytest.param("0 15 10 L-1W * ?", 2010, 10, [29], id="I02 and the Friday before it"),
        pytest.param("0 15 10 6,15,LW * ?", 2010, 10, [6, 15, 29], id="I05 LW"),
        pytest.param("0 15 10 6,15,L * ?", 2010, 10, [6, 15, 31], id="I05 L"),
        pytest.param("0 15 10 15,L * ?", 2010, 10, [15, 31], id="I05 two"),
        pytest.param("0 15 10 15,31 * ?", 2010, 10, [15, 31], id="I05 numbers"),
        pytest.param("0 15 10 15,L-2 * ?", 2010, 10, [15, 29], id="I05 L-2"),
        pytest.param("0 15 10 31,L-2 * ?", 2010, 10, [29, 31], id="I05 both at the end"),
        pytest.param("0 15 10 1,3,6,15,L * ?", 2010, 10, [1, 3, 6, 15, 31], id="I05 many"),
        pytest.param("0 15 10 15,LW-2 * ?", 2010, 10, [15, 27], id="I05 LW-2"),
        pytest.param("0 0 0 5/5 * MON", 2010, 10, [4, 5, 10, 11, 15, 18, 20, 25, 30], id="I06 steps"),
        pytest.param(
            "0 0 0 3 * MON,THU,FRI", 2010, 10, [1, 3, 4, 7, 8, 11, 14, 15, 18, 21, 22, 25, 28, 29], id="I06"
        ),
        pytest.param(
            "0 0 0 1,2,3,4,5,6 * MON,THU,FRI",
            2010,
            10,
            [1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 15, 18, 21, 22, 25, 28, 29],
            id="I06 a list",
        ),
        *(
            pytest.param(f"0 15 10 LW-{before} * ?", 2010, 10, [day], id=f"I07 {before}")
            for before, day in [(2, 27), (5, 24), (7, 22), (28, 1), (29, 1), (30, 1)]
        ),
        pytest.param("0 0 12 ? * FRI", 2007, 6, [1, 8, 15, 22, 29], id="I19"),
        pytest.param("0 0 12 L * ?", 2007, 6, [30], id="I22"),
        pytest.param("0 30 10-13 ? * FRI#3", 2008, 12, [19], id="I29"),
        pytest.param("0 30 10-13 ? * FRI#3", 2009, 1, [16], id="I29 the next month"),
        pytest.param(
            "0 0 0 ? * 6-2", 2010, 10, [2, 3, 4, 5, 9, 10, 11, 12, 16, 17, 18, 19, 23, 24, 25, 26, 30, 31]
        ),
        pytest.param("0 0 0 28-5 * ?", 2010, 10, [1, 2, 3, 4, 5, 28, 29, 30, 31], id="I36"),
    ],
)
def test_days(schedule: str, year: int, month: int, expected: list[int]) -> None:
    assert days(schedule, year, month) == expected


@pytest.mark.parametrize("day", range(7))
def test_i09_the_first_of_each_weekday(day: int) -> None:
    assert days(f"0 0 0 ? * {day}#1", 2010, 1) == [[3, 4, 5, 6, 7, 1, 2][day]]


def test_i18_weekdays() -> None:
    weekdays = [1, *range(4, 9), *range(11, 16), *range(18, 23), *range(25, 30)]
    assert days("0 0 12 ? * MON-FRI", 2007, 6) == weekdays


def test_i01_a_weekend_is_not_in_the_week() -> None:
    assert not runs_at("0 15 10 ? * MON-FRI", "2007-06-09 10:15")
    assert not runs_at("0 15 10 ? * MON-FRI", "2007-06-10 10:15")
    assert runs_at("0 15 10 ? * MON-FRI", "2007-06-11 10:15")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        pytest.param("0 15 23 * * ?", "2005-06-01 23:16", "2005-06-02 23:15", id="I16"),
        pytest.param("0 55 15 1 * ?", "2007-12-01 23:59:59", "2008-01-01 15:55", id="I17"),
        pytest.param("0/5 * * * * ?", "2006-01-01 01:59:55", "2006-01-01 02:00", id="I23"),
        pytest.param("* * * * * ?", "2006-01-01 01:59:55", "2006-01-01 01:59:56", id="I24"),
        pytest.param("* * 1 * * ?", "2005-07-31 22:59:57", "2005-08-01 01:00", id="I25"),
        pytest.param("0 12 4 ? * 3", "2007-12-28 00:00", "2008-01-02 04:12", id="I26"),
        pytest.param("0 0 0 29 * ?", "2009-01-30 00:00", "2009-03-29 00:00", id="I41"),
        pytest.param("0 0 0 29 * ?", "2009-12-30 00:00", "2010-01-29 00:00", id="I41 over the year"),
        pytest.param("0 0 0 1 OCT ?", "2010-09-10 00:00", "2010-10-01 00:00", id="I57 OCT"),
        pytest.param("0 0 0 1 NOV ?", "2010-09-10 00:00", "2010-11-01 00:00", id="I57 NOV"),
        pytest.param("0 0 0 1 DEC ?", "2010-09-10 00:00", "2010-12-01 00:00", id="I57 DEC"),
    ],
)
def test_the_next_run(schedule: str, after: str, expected: str) -> None:
    assert runs(schedule, after, 1) == [expected]


def test_i28_more_spaces_than_needed() -> None:
    assert not runs_at("30   *    * * *   ?  ", "2010-01-01 12:00:00")
    assert runs_at("30   *    * * *   ?  ", "2010-01-01 12:00:30")


def test_i44_the_hour_after_the_gap() -> None:
    assert runs("0 15 * * * ?", "2011-03-27 00:20", 1, "Europe/Berlin") == ["2011-03-27 01:15"]  # 03:15


@pytest.mark.parametrize(
    ("schedule", "runs_then"),
    [
        pytest.param("58-4 5 21 ? * MON-FRI", "2010-10-04 21:05:03", id="I31 seconds"),
        pytest.param("0 58-4 21 ? * MON-FRI", "2010-10-04 21:59", id="I32 minutes"),
        pytest.param("0 0/15 21-3 ? * MON-FRI", "2010-10-04 02:45", id="I33 hours"),
        pytest.param("58 5 21 ? * 6-2", "2010-10-05 21:05:58", id="I34 numbers of days"),
        pytest.param("58 5 21 ? * FRI-TUE", "2010-10-04 21:05:58", id="I35 names of days"),
        pytest.param("58 5 21 28-5 1 ?", "2010-01-05 21:05:58", id="I36 days of the month"),
        pytest.param("58 5 21 ? 11-2 FRI", "2010-01-01 21:05:58", id="I37 months"),
        pytest.param("0 0 14-6 ? * FRI-MON", "2010-10-04 06:00", id="I38 hours and days"),
        pytest.param("55-3 56-2 6 ? * FRI", "2010-10-01 06:02:03", id="I39 seconds and minutes"),
    ],
)
def test_ranges_that_wrap_around(schedule: str, runs_then: str) -> None:
    assert runs_at(schedule, runs_then)


@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param("0 0 0 ? * 1#1", id="I08"),
        pytest.param("0 0 0 ? * 1#5", id="I08 the last"),
        pytest.param("0 15 10 * * ? \t", id="I15"),
        pytest.param("0 0 5 ? * 5L", id="I40"),
        pytest.param("0 0/30 * * * ?", id="I53"),
        pytest.param("0 0/1 * * * ?", id="I53 every minute"),
        pytest.param("0 0 0 1 */2 ?", id="I53 months"),
        pytest.param("0 0 18-21/1 ? * MON,TUE,WED,THU,FRI,SAT,SUN", id="I55"),
    ],
)
def test_what_is_accepted(schedule: str) -> None:
    assert as_cron(schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param("0 0 0 ? * 1#0", id="I08"),
        pytest.param("0 0 0 ? * 1#6", id="I08 sixth"),
        pytest.param("0 0 0 ? * 8#1", id="I09"),
        pytest.param("0 0 0 ? * 14#1", id="I09 fourteen"),
        pytest.param("0 15 10 15,L-31 * ?", id="I11"),
        pytest.param("L * * * * ?", id="I12 second"),
        pytest.param("0 L * * * ?", id="I12 minute"),
        pytest.param("0 0 L * * ?", id="I12 hour"),
        pytest.param("0 0 0 ? L *", id="I12 month"),
        pytest.param(None, id="I13"),
        pytest.param("0 15 10 ?h * *", id="I14"),
        pytest.param("0 15 10 ?? * *", id="I14 twice"),
        pytest.param("0 15 10 ?* * *", id="I14 star"),
        pytest.param(" 0 15 10 * * 2010", id="I27"),
        pytest.param("0 0 5 ? * SAT,SUN,L", id="I40"),
        pytest.param("0 0 5 ? * 6,7,L", id="I40 numbers"),
        pytest.param("0 0 5 32W * ?", id="I43"),
        *(
            pytest.param(" ".join(["0"] * place + [step] + ["*"] * (5 - place)), id=f"{number} {step}")
            for place, number in enumerate(["I47", "I48", "I49", "I50", "I51", "I52"])
            for step in ("/120", "0/120", "*/120", "/", "0/", "*/")
        ),
        pytest.param("0 *A&/5: * * * ?", id="I53"),
        pytest.param("0 *14 * * * ?", id="I53 a number"),
        pytest.param("0 0/30 * *", id="I53 too few"),
        pytest.param("0 15 10 ? * FRI*", id="I54"),
    ],
)
def test_what_is_refused(schedule: str) -> None:
    with pytest.raises(InvalidSchedule):
        as_cron(schedule)


def test_i10_what_means_the_same_is_the_same_text() -> None:
    assert as_cron("0/5 * * * * ?") == as_cron(" */5  * * ? * *") == Every(seconds=5).cron
    assert as_cron("0 15 10 ? * mon-fri") == as_cron("0 15 10 * * MON-FRI")
    assert as_cron("15 10 * * *") == as_cron("0 15 10 * * *")
    assert as_cron("0 15 10 * * *") != as_cron("0 15 11 * * *")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(Every(seconds=5), "*/5 * * * * *", id="G08"),
        pytest.param(Every(seconds=5, hour=12), "*/5 * 12 * * *", id="G09"),
        pytest.param(Every(seconds=5, hour=12, minute=15), "*/5 15 12 * * *", id="G10"),
        pytest.param(Every(minutes=10), "0 */10 * * * *", id="G11"),
    ],
)
def test_builders(given: Every, expected: str) -> None:
    assert as_cron(given) == expected
    upstream = expected.replace("*/", "0/")
    assert as_cron(upstream) == expected  # MassTransit writes it so


class TestDifferentOnPurpose:
    """Each of these is in the list of the page."""

    @pytest.mark.parametrize("schedule", ["0 15 10 * * ? 2005", "0 0 0 1 1 ? *"])
    def test_i01_i30_there_is_no_year(self, schedule: str) -> None:
        with pytest.raises(InvalidSchedule, match="none for the year"):
            as_cron(schedule)

    def test_i03_the_text_is_put_into_one_form(self) -> None:
        assert as_cron("0 15 10 ? * mon") == "0 15 10 * * MON"
        assert as_cron("0 7/20 * * * ?") == "0 7-59/20 * * * *"

    def test_i04_a_list_may_have_several_days_from_the_end(self) -> None:
        assert days("0 0 0 L-1,L-2 * ?", 2010, 10) == [29, 30]

    def test_i06_a_star_lets_the_other_day_field_restrict(self) -> None:
        assert days("0 0 0 * * MON,THU,FRI", 2010, 10) == [1, 4, 7, 8, 11, 14, 15, 18, 21, 22, 25, 28, 29]
        assert days("0 0 0 1 * *", 2010, 10) == [1]

    def test_i09_the_week_begins_with_monday_1_and_sunday_is_0_and_7(self) -> None:
        assert days("0 0 0 ? * 1#1", 2010, 1) == [4]
        assert days("0 0 0 ? * 0#1", 2010, 1) == days("0 0 0 ? * 7#1", 2010, 1) == [3]
        assert days("0 0 0 ? * 1,3,5", 2010, 2) == days("0 0 0 ? * MON,WED,FRI", 2010, 2)

    def test_i12_l_as_a_day_of_the_week_must_say_which(self) -> None:
        with pytest.raises(InvalidSchedule, match="SATL or 6L"):
            as_cron("0 0 0 ? * L")

    @pytest.mark.parametrize("days_of_week", ["FRI/2", "THU,FRI/2"])
    def test_i20_i21_a_step_after_a_name_is_neither_weeks_nor_days(self, days_of_week: str) -> None:
        with pytest.raises(InvalidSchedule, match="weeks"):
            as_cron(f"0 0 12 ? * {days_of_week}")

    def test_i47_a_step_needs_what_it_starts_from(self) -> None:
        with pytest.raises(InvalidSchedule):
            as_cron("0 /5 * * * *")

    @pytest.mark.parametrize(
        "schedule", ["0 0 0 */31 * ?", "0 0 0 1 */12 ?", "0 59/15 * * * ?", "0 5-5 * * * ?"]
    )
    def test_steps_and_ranges_of_one_value_are_refused(self, schedule: str) -> None:
        with pytest.raises(InvalidSchedule, match="write"):
            as_cron(schedule)

    def test_a_skipped_time_runs_at_the_end_of_the_gap(self) -> None:
        # MassTransit moves it by the length of the gap, to 03:30.
        assert runs("0 30 2 * * ?", "2026-03-28 12:00", 1, "Europe/Berlin") == ["2026-03-29 01:00"]  # 03:00
