"""A local stand-in for Stripe's HTTP API, version 2026-10-28.endive.

The unchanged official SDK talks to it; only the base address differs. It imports nothing of the portal's
and nothing imports it, so it stays a second opinion on every amount.

A route, for whoever adds one (`catalog.py` is a full example)::

    from stripe.params import CustomerCreateParams

    from portal.sandbox.dispatch import route
    from portal.sandbox.state import Sandbox


    @route("POST", "/v1/customers", params=CustomerCreateParams, supports=("name", "email", "metadata"))
    def create(sandbox: Sandbox, params: dict) -> dict:
        customer = {"id": sandbox.new_id("cus", 14), "object": "customer", "name": params.get("name")}
        sandbox.store.put("customer", customer)
        sandbox.emit("customer.created", customer)
        return customer

Where things are:

- the kernel: `app`, `dispatch`, `routes`, `contract`, `forms`, `authentication`, `idempotency`, `expansion`,
  `lists`, `errors`, `documents`, `currencies`, `state`, `store`, `buckets`, `agenda`, `clock`, `events`,
  `deliveries`, `webhooks`, `faults`, `background`;
- API v2: `json_bodies`, `timestamps`, `v2_lists`, `thin_events`, `event_destinations`;
- usage: `meters`, `meter_*` (events, their errors and stream, what they come to), `usage_*` (how they are
  counted, and the lines that bill them);
- the control page: `control`, `control_pages`, `next_payment`;
- what is sold and to whom: `catalog`, `prices`, `coupons`, `promotion_codes`, `customers`,
  `customer_*`, `tax_ids`, `tax_settings`, `tax`;
- billing: `subscription*`, `update*`, `pending_updates`, `billed`, `schedule*`, `pauses`, `item*`,
  `invoice*`, `credit_note*`, `preview`, `proration`, `discount*`, `renewals`, `dunning`,
  `test_clocks`, `hosted`;
- payments: `payment*`, `setup*`, `confirmation`, `charges`, `refunds`, `dispute*`, `cards`, `banks`,
  `debits`;
- the buyer's browser: `elements`, `link`, `redirects`, `static`, `templates`.

Documents are stored under the name in their `object` field. Keys that start with `_` never leave the sandbox;
`expand[]=tiers` shows a stored `_tiers` as `tiers`. Relations are ids; expansion is the dispatcher's.
"""
