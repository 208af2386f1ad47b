"""Use cases as plain functions: each takes a session or opens its own units of work, and the gateways it needs."""
