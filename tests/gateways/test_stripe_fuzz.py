"""Whatever is posted as a webhook is either a signed event or refused; nothing else can happen."""

import json

import pytest
import stripe as sdk
from hypothesis import given
from hypothesis import strategies as st

from portal.gateways.stripe_errors import SignatureError
from portal.gateways.stripe_webhooks import WebhookDoor

DOOR = WebhookDoor(("whsec_1",), livemode=False, api_version="v", account_id=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "object", "data", "type"]), inner),
    max_leaves=8,
)


@given(st.binary(), st.text())
def test_any_bytes_with_any_header_are_refused(body: bytes, header: str) -> None:
    with pytest.raises(SignatureError):
        DOOR.read(body, header)


@given(JSON)
def test_signed_json_that_is_no_event_is_refused(value: object) -> None:
    body = json.dumps(value)
    header = sdk.WebhookSignature.generate_signature_header(body, "whsec_1")

    with pytest.raises(SignatureError):
        DOOR.read(body.encode(), header)
