"""Logs: one JSON object a line on standard output, with the request's id, and without secrets."""

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

HIDDEN = "[hidden]"
SECRET_KEYS = re.compile(
    r"pass(word|wd)|secret|token|cookie|authorization|signature|api_key|card_number|cvc", re.IGNORECASE
)
# Stripe's keys and ours, signing secrets, client secrets of intents, links of mails, card numbers
SECRET_TEXT = re.compile(
    r"(?:sk|rk)_(?:test|live)_\w+|whsec_\w+|bk_[0-9A-Z]{10}_[\w-]+|(?:pi|seti|cs)_\w+_secret_\w+"
    r"|\b(?:\d[ -]?){13,19}\b|\.[\w-]{6}\.[\w-]{20,}"
)
QUIET = ("procrastinate", "urllib3", "stripe", "alembic", "_granian", "granian.access")


def configure_logs(*, stream: Any = None, level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's lines the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=[]), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace the values of telling keys, and whatever looks like a secret in any text."""
    return {
        key: HIDDEN if SECRET_KEYS.search(key) and value else _clean(value) for key, value in event.items()
    }


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return SECRET_TEXT.sub(HIDDEN, value)
    if isinstance(value, dict):
        return hide_secrets(None, "", value)
    if isinstance(value, (list, tuple)):
        return [_clean(each) for each in value]
    return value
