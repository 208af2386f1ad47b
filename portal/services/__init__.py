"""Use cases as plain functions: each takes a session, or opens units of work, and the gateways it needs."""
