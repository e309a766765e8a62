from datetime import UTC, datetime, timedelta
from uuid import RFC_4122

from hypothesis import given
from hypothesis import strategies as st

from modelgenerator.service.records.ids import new_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 2**57).map(lambda it: EPOCH + timedelta(microseconds=it))


@given(INSTANTS)
def test_an_id_is_a_uuid_of_version_7(now):
    made = new_id(now)
    assert (made.version, made.variant) == (7, RFC_4122)


@given(INSTANTS)
def test_it_holds_the_millisecond(now):
    assert new_id(now).int >> 80 == (now - EPOCH) // timedelta(milliseconds=1)


@given(INSTANTS)
def test_a_later_microsecond_sorts_after(now):
    assert new_id(now) < new_id(now + timedelta(microseconds=1))


def test_many_ids_of_one_instant_differ():
    now = datetime(2026, 11, 25, tzinfo=UTC)
    assert len({new_id(now) for _ in range(10_000)}) == 10_000
