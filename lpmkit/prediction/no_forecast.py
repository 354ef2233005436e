"""Making a forecast such that it ends nothing: moves, plans and recordings do without one, and say why.

A forecast reads every past run of the site and is worked out by code that no move needs. `forecast_or_why` is the one
place where an error of it is caught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lpmkit.errors import LpmError

Forecast = TypeVar("Forecast")


@dataclass(frozen=True, slots=True)
class NoForecast:
    """The reason why there is no forecast, for people; no period at its end."""

    why: str

    def sentence(self) -> str:
        """The reason as a sentence.

        >>> NoForecast("there is no survey").sentence()
        'No forecast: there is no survey.'
        """
        return f"No forecast: {self.why.removesuffix('.')}."


def forecast_or_why(make: Callable[[], Forecast]) -> Forecast | NoForecast:
    """The forecast that ``make`` returns, or the reason why it raised: any error but the end of the process.

    >>> forecast_or_why(lambda: 1 // 0)
    NoForecast(why='ZeroDivisionError: integer division or modulo by zero')
    """
    try:
        return make()
    except LpmError as error:
        return NoForecast(str(error))
    except Exception as error:  # noqa: BLE001 - a forecast must never end a move or a plan; the reason is told
        return NoForecast(f"{type(error).__name__}: {error}")
