"""Numbers as people read them: as many digits as mean something, and a real minus sign."""

from __future__ import annotations

import math
from typing import Any

MINUS = "−"


def decimal(value: float, digits: int = 2) -> str:
    """A number with fixed decimals.

    >>> decimal(-0.634), decimal(float("inf")), decimal(float("nan"))
    ('−0.63', '∞', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if abs(value) >= 1e6:
        return f"{value:.1e}".replace("-", MINUS)
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(value: float, digits: int = 2) -> str:
    """The same with a sign in front of positive numbers too.

    >>> signed(0.634), signed(-0.001), signed(-0.5)
    ('+0.63', '0.00', '−0.50')
    """
    text = decimal(value, digits)
    return f"+{text}" if value > 0 and text.strip("0.–") else text


def scaled(value: float, sd: float) -> str:
    """A number in a parameter's own units, with digits down to a hundredth of its sd.

    >>> scaled(1234.5678, 30.0), scaled(0.00123456, 2e-5), scaled(3.0, 0.0)
    ('1234.6', '0.0012346', '3')
    """
    if not math.isfinite(value) or not math.isfinite(sd):
        return decimal(value)
    if sd <= 0:
        return f"{value:.4g}".replace("-", MINUS)
    digits = 2 - math.floor(math.log10(sd))
    if abs(value) >= 1e7 or digits > 8:
        return f"{value:.3e}".replace("-", MINUS)
    return decimal(value, min(max(digits, 0), 8))


def with_error(value: Any, error: Any) -> str:
    """A value and its standard error, empty where there is none.

    >>> with_error(-33.4161, 0.0123), with_error(-33.4161, None), with_error(None, None)
    ('−33.416 ± 0.012', '−33.416', '')
    """
    if not isinstance(value, int | float):
        return ""
    if not isinstance(error, int | float) or not math.isfinite(error) or error <= 0:
        return decimal(float(value), 3)
    digits = min(max(1 - math.floor(math.log10(error)), 0), 3)
    return f"{decimal(float(value), digits)} ± {decimal(float(error), digits)}"


def seconds(value: Any) -> str:
    """A duration.

    >>> seconds(2.134), seconds(93.0), seconds(7300.0), seconds(None)
    ('2.1 s', '1 min 33 s', '2 h 1 min', '')
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        return ""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
