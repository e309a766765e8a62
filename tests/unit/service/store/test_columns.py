from dataclasses import fields

import pytest
from sqlalchemy import BigInteger

from modelgenerator.service.store import (
    accounts,
    datasets,
    deletions,
    flows,
    generations,
    job_tables,
    organizations,
    rates,
    requests,
    servers,
    trainings,
    webhooks,
)
from modelgenerator.service.store.columns import METADATA, Kind

MODULES = (
    accounts,
    datasets,
    deletions,
    flows,
    generations,
    job_tables,
    organizations,
    rates,
    requests,
    servers,
    trainings,
    webhooks,
)
KINDS = [it for module in MODULES for it in vars(module).values() if isinstance(it, Kind)]
NOBODYS = {"organizations", "users", "measured_rates", "servers"}


def test_every_table_is_of_some_kind():
    assert {kind.table.name for kind in KINDS} == set(METADATA.tables)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table.name)
def test_a_table_has_a_column_for_each_field_and_no_other(kind):
    assert [it.name for it in kind.table.columns] == [it.name for it in fields(kind.record)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table.name)
def test_everything_says_whose_it_is(kind):
    if kind.table.name not in NOBODYS:
        column = kind.table.columns.organization_id
        assert not column.nullable
        assert [key.target_fullname for key in column.foreign_keys] == ["organizations.id"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table.name)
def test_numbers_have_room_for_microdollars_and_bytes(kind):
    numbers = [it for it in fields(kind.record) if it.type is int]
    assert all(isinstance(kind.table.columns[it.name].type, BigInteger) for it in numbers)
