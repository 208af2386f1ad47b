"""What the portal relies on at Stripe: one suite against the sandbox's engine, and on demand against Stripe.

``make test`` runs it against the engine. ``make contract`` runs it against the test mode of the account that
STRIPE_SECRET_KEY belongs to: what passes here and fails there is a mistake of the sandbox's.
"""
