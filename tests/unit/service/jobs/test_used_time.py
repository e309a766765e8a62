from modelgenerator.service.jobs.used_time import UsedTime


class Timer:
    seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


def test_it_runs_on_from_what_was_kept_and_rests_where_work_is_free():
    timer = Timer()
    used = UsedTime(1_000, timer=timer)
    timer.seconds += 2
    with used.free():
        timer.seconds += 100
        assert used.ms == 3_000
    timer.seconds += 0.5
    assert used.ms == 3_500


def test_who_goes_on_from_a_checkpoint_pays_from_its_next_step():
    timer = Timer()
    used = UsedTime(9_000, is_running=False, timer=timer)
    timer.seconds += 5
    with used.free():
        timer.seconds += 5
    timer.seconds += 5
    assert used.ms == 9_000
    used.start_again(7_000)
    timer.seconds += 1
    assert used.ms == 8_000
