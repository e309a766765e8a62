"""A process that pays in credits without end, and says after each commit that it is kept.

`python -m tests.payer URL ORGANIZATION START` is there to be killed.
"""

import sys
from itertools import count
from uuid import UUID

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.records.clock import system_clock
from modelgenerator.service.store.database import Database

url, organization, start = sys.argv[1:]
database = Database(url)
for number in count(int(start)):
    with database.transaction() as transaction:
        accounts = transaction.of(UUID(organization)).accounts
        ledger = Ledger(accounts, system_clock())
        ledger.credit(f"payment {number}", 1 + number, memo="x" * 3_000)
        ledger.hold(f"hold {number}", 1)
    print(number, flush=True)  # noqa: T201
