"""Measured rates: of machines, and so of no organization."""

from sqlalchemy import Connection, insert, select, update

from modelgenerator.service.records.rates import MeasuredRate
from modelgenerator.service.store.columns import kind_of

RATES = kind_of(
    MeasuredRate,
    "measured_rates",
    called="measured rate",
    key=("machine", "base_model", "manner", "pixels", "batch_size"),
)
_KEY = tuple(column.name for column in RATES.table.primary_key)


class Rates:
    """What was measured on all kinds of machines."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, base_model: str) -> list[MeasuredRate]:
        """All shapes of one base model on every kind of machine, the newest first."""
        columns = RATES.table.columns
        query = select(RATES.table).where(columns.base_model == base_model)
        rows = self._connection.execute(query.order_by(columns.measured_at.desc()))
        return [RATES.read(row) for row in rows]

    def keep(self, rate: MeasuredRate) -> None:
        """Remember `rate` in place of the one of its shape."""
        table, row = RATES.table, RATES.row(rate)
        this = update(table).where(*(table.columns[name] == row[name] for name in _KEY))
        if not self._connection.execute(this.values(row)).rowcount:
            self._connection.execute(insert(table).values(row))
