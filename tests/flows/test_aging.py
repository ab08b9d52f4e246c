"""How long groups have been silent, by the time of their partition."""

from flows.aging import Ages, Moment

HOUR = 3600.0
DAY = 24 * HOUR


def aged(ttl: float, readings: list[tuple[str, float]], ages: Ages | None = None) -> list[str]:
    """Groups that expire at the last of some readings; none does before."""
    ages = ages or Ages(ttl, HOUR)
    expired: list[str] = []
    for group, time in readings:
        assert expired == []
        expired = ages.tick(group, time)
        ages.see(group)
    return expired


def together(*groups: str, until: float, step: float = HOUR / 2) -> list[tuple[str, float]]:
    """Readings of groups that take turns."""
    return [(group, number * step) for number in range(int(until / step) + 1) for group in groups]


def test_a_group_is_forgotten_when_the_time_passes_its_bound_and_not_before() -> None:
    start = [("oven", 0.0), *together("press", until=DAY)]
    assert aged(DAY, start) == []
    assert aged(DAY, [*start, ("press", DAY + 1)]) == ["oven"]


def test_a_group_whose_own_reading_passes_its_bound_is_forgotten_before_that_counts() -> None:
    assert aged(60.0, [("oven", 0.0), ("press", 0.0), ("oven", 61.0)]) == ["oven", "press"]


def test_a_group_that_is_forgotten_is_not_forgotten_again() -> None:
    ages = Ages(60.0, HOUR)
    aged(60.0, [("oven", 0.0), ("press", 0.0), ("press", 30.0), ("press", 61.0)], ages)
    assert aged(60.0, [("press", 100.0), ("press", 150.0)], ages) == []


def test_late_readings_keep_a_group_but_do_not_move_the_time() -> None:
    ages = Ages(DAY, HOUR)
    for group, time in together("press", "oven", until=DAY):
        ages.tick(group, time)
        ages.see(group)
        ages.tick("gateway", 5.0)
        ages.see("gateway")
    assert ages.moment.now == DAY
    assert ages.tick("press", DAY + HOUR / 2) == []


def test_one_device_with_a_wrong_clock_moves_nothing_however_much_it_sends() -> None:
    ages = Ages(DAY, HOUR)
    readings = together("press", "oven", until=HOUR)
    future = [("broken", 4e9 + second) for second in range(100)]
    assert aged(DAY, [*readings, *future, ("press", HOUR), *future], ages) == []
    assert ages.moment.now == HOUR


def test_a_pause_of_all_counts_as_one_step() -> None:
    # given a plant that stands still for two weeks
    ages = Ages(2 * DAY, HOUR)
    aged(2 * DAY, together("press", "oven", "saw", until=HOUR), ages)
    # when it is back, the groups one after the other
    later = 14 * DAY
    for group in ("press", "oven"):
        assert ages.tick(group, later) == []
        ages.see(group)
    # then its time has moved, and no group was forgotten meanwhile
    assert ages.moment.now == later
    assert ages.moment.elapsed == 2 * HOUR
    assert ages.tick("saw", later) == []


def test_a_far_time_is_believed_once_a_second_group_confirms_it() -> None:
    ages = Ages(DAY, HOUR)
    aged(DAY, together("press", "oven", until=HOUR), ages)
    aged(DAY, [("press", 3 * DAY), ("press", 3 * DAY + 1)], ages)
    assert ages.moment.now == HOUR

    aged(DAY, [("oven", 3 * DAY + 2)], ages)

    assert ages.moment.now == 3 * DAY + 2


def test_the_first_reading_alone_sets_no_time() -> None:
    ages = Ages(60.0, HOUR)
    aged(60.0, [("broken", 4e9), ("press", 100.0), ("oven", 101.0)], ages)
    assert (ages.moment.now, ages.moment.elapsed) == (101.0, 0.0)


def test_a_restart_anywhere_forgets_the_same_groups_at_the_same_readings() -> None:
    readings = [
        (f"g{number % 7 if number % 50 < 25 else number % 3}", number * 13.0 % 900 + number * 5)
        for number in range(2000)
    ]
    readings[400:400] = [("broken", 4e9)] * 3
    readings[900:900] = [("g0", 90_000.0), ("g1", 90_001.0)]

    def forgotten(every: int) -> list[list[str]]:
        ages, seen, found = Ages(300.0, 600.0), dict[str, float](), []
        for number, (group, time) in enumerate(readings):
            if number % every == 0:
                ages = Ages(300.0, 600.0, Moment(*ages.moment), seen.items())
            found.append(sorted(ages.tick(group, time)))
            for each in found[-1]:
                del seen[each]
            seen[group] = ages.see(group)
        return found

    straight = forgotten(10**9)
    assert sum(map(len, straight)) > 20
    assert forgotten(1) == forgotten(17) == straight
