"""Whose portal it is: name, logo, accent colour, support address, footer; all from settings."""

from dataclasses import dataclass

from portal.config import Settings
from portal.web.assets import asset

# WCAG 2.2, 1.4.3: text against its ground; the accent is both link text on white and the ground of white text
LEAST_CONTRAST = 4.5
DARKER = 0.94


@dataclass(frozen=True)
class Brand:
    """What pages and mails say of the vendor. ``accent`` is #rrggbb and readable on white; None: ours."""

    name: str
    logo_url: str | None
    accent: str | None
    support_email: str | None
    legal_footer: str | None


def brand_of(settings: Settings) -> Brand:
    """The brand that ``settings`` describe."""
    return Brand(
        name=settings.brand_name,
        logo_url=asset(settings.brand_logo) if settings.brand_logo else None,
        accent=readable(settings.brand_accent) if settings.brand_accent else None,
        support_email=settings.support_email,
        legal_footer=settings.legal_footer,
    )


def readable(colour: str) -> str:
    """``colour`` (#rrggbb), darkened as far as white text on it can be read."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    while contrast_with_white(red, green, blue) < LEAST_CONTRAST:
        red, green, blue = (int(part * DARKER) for part in (red, green, blue))
    return f"#{red:02x}{green:02x}{blue:02x}"


def contrast_with_white(red: int, green: int, blue: int) -> float:
    """The contrast ratio of a colour with white, from 1 to 21, as WCAG reckons it."""
    linear = [_linear(part / 255) for part in (red, green, blue)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 1.05 / (luminance + 0.05)


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
