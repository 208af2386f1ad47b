"""The billing portal.

Imports point one way:
``app → web | tasks | cli → services → gateways → models → db | config → errors → pricing``.
``pricing`` is pure and imports the standard library only; ``sandbox`` stands apart: it imports nothing
from the rest and nothing imports it. This module imports nothing, so that ``portal.pricing`` stays light.
"""
