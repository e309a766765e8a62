"""Which servers there are, told by themselves again and again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from modelgenerator.service.records.servers import GONE_AFTER, Server
from modelgenerator.service.store.columns import kind_of

SERVERS = kind_of(Server, "servers", called="server")
_SERVER = SERVERS.table.columns


class Servers:
    """Of all organizations: a server works for each of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def saw(self, server: Server) -> None:
        """It lives, and has this; those that were not seen for a while are forgotten."""
        row = SERVERS.row(server)
        changed = self._connection.execute(
            update(SERVERS.table).where(_SERVER.id == server.id).values(row)
        )
        if changed.rowcount == 0:
            self._connection.execute(insert(SERVERS.table).values(row))
        old = server.seen_at - 10 * GONE_AFTER
        self._connection.execute(delete(SERVERS.table).where(_SERVER.seen_at < old))

    def leaves(self, id: str) -> None:
        """It ends."""
        self._connection.execute(delete(SERVERS.table).where(_SERVER.id == id))

    def alive(self, now: datetime) -> Sequence[Server]:
        """Those that were seen lately, by their hosts' names."""
        query = (
            select(SERVERS.table)
            .where(_SERVER.seen_at > now - GONE_AFTER)
            .order_by(_SERVER.host, _SERVER.id)
        )
        return [SERVERS.read(row) for row in self._connection.execute(query)]
