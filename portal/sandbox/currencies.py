"""The currencies that Stripe takes, in the order and with the words of its refusal of any other."""

from __future__ import annotations

from portal.sandbox.errors import invalid

# docs.stripe.com/currencies#presentment-currencies
_CODES = (
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad "
    "cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl "
    "hrk htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga "
    "mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron "
    "rsd rub rwf sar sbd scr sek sgd shp sle sll sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu "
    "uzs vnd vuv wst xaf xcd xof xpf yer zar zmw"
)
SUPPORTED = tuple(_CODES.split())
_KNOWN = frozenset(SUPPORTED)


def checked_currency(text: str, param: str = "currency") -> str:
    """The lower-case code, or a refusal that names every code that would do."""
    code = text.lower()
    if code not in _KNOWN:
        supported = ", ".join(SUPPORTED)
        raise invalid(
            f"Invalid currency: {code}. Stripe currently supports these currencies: {supported}", param
        )
    return code
