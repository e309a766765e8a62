"""Servers tell of themselves, and are forgotten when they do not."""

from dataclasses import replace

from modelgenerator.service.records.servers import GONE_AFTER, Machine, Places, Server


def a_server(clock, id="one-1-ab"):
    now = clock()
    return Server(
        id=id,
        host="one",
        version="0.1.0",
        executor="ray",
        machines=(Machine(name="10.0.0.2", cpus=8, gpus=2, gpu_kind="L4", gpu_memory=24 * 10**9),),
        places=(Places(kinds=("train", "generate"), count=2, gpus=1, gpu_memory=24 * 10**9),),
        started_at=now,
        seen_at=now,
    )


def test_a_server_is_alive_as_long_as_it_is_seen(database, clock):
    server = a_server(clock)
    with database.transaction() as transaction:
        transaction.servers.saw(server)
    clock.advance(15)
    seen_again = replace(server, seen_at=clock(), machines=())
    with database.transaction() as transaction:
        transaction.servers.saw(seen_again)
    clock.advance(15)
    with database.reading() as transaction:
        assert transaction.servers.alive(clock()) == [seen_again]
    clock.advance(GONE_AFTER.total_seconds())
    with database.reading() as transaction:
        assert transaction.servers.alive(clock()) == []


def test_a_server_that_ends_leaves(database, clock):
    with database.transaction() as transaction:
        transaction.servers.saw(a_server(clock))
        transaction.servers.saw(a_server(clock, "two-1-ab"))
        transaction.servers.leaves("one-1-ab")
    with database.reading() as transaction:
        assert [server.id for server in transaction.servers.alive(clock())] == ["two-1-ab"]
