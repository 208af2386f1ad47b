"""What the overview shows that hangs on nothing else, in one look at the database."""

from portal.read_ahead import ReadAhead
from portal.services import (
    allowances,
    attempts,
    billing_details,
    holdings,
    invoices,
    planned_changes,
    subscriptions,
    unbilled_periods,
)

ROWS = ReadAhead(
    subscriptions.CURRENT,
    billing_details.CURRENT,
    invoices.NEWEST,
    holdings.PLAN,
    planned_changes.LAST_AND_NONE_PLANNED,
    attempts.UNPAID,
    attempts.ON_ITS_WAY,
    unbilled_periods.LATEST,
    allowances.ROW,
)
