"""What the text in a cell means, as SQL; and how a time is written."""

from datetime import UTC, datetime, timedelta

from flows.wire import EARLIEST, LATEST

__all__ = [
    "DATES",
    "EPOCH",
    "ISO",
    "ROWS",
    "iso_time",
    "literal",
    "missing",
    "number",
    "seconds",
    "value",
]

MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "--", "?")
ISO, EPOCH, ROWS = "ISO 8601", "a number since 1970", "the row number"
CLOCKS = (" %H:%M:%S.%f", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", "")
DATES = {  # where two fit equally well the first one is taken
    "day.month.year": "%d.%m.",
    "day/month/year": "%d/%m/",
    "month/day/year": "%m/%d/",
    "day-month-year": "%d-%m-",
    "day-Month-year": "%d-%b-",
}


def missing(cell: str) -> str:
    """SQL for whether a cell has no value."""
    return f"(lower(trim(coalesce({cell}, ''))) IN {MISSING})"


def number(cell: str, *, decimal_comma: bool) -> str:
    """SQL for a number, NULL where the cell is none."""
    text = f"replace({cell}, ',', '.')" if decimal_comma else cell
    return f"TRY_CAST({text} AS DOUBLE)"


def value(cell: str, *, decimal_comma: bool) -> str:
    """SQL for a channel's value: NaN where missing, NULL where it cannot be read."""
    read = number(cell, decimal_comma=decimal_comma)
    return f"CASE WHEN {missing(cell)} THEN 'nan'::DOUBLE ELSE {read} END"


def seconds(cell: str, style: str) -> str:
    """SQL for seconds since 1970, NULL where the cell is no such time; without a zone it is UTC."""
    if style == EPOCH:
        x = number(cell, decimal_comma=True)  # ns, us, ms or s, by its size
        return f"""(CASE WHEN {x} >= 1e17 THEN {x} / 1e9 WHEN {x} >= 1e14 THEN {x} / 1e6
            WHEN {x} >= 1e11 THEN {x} / 1e3 ELSE {x} END)"""
    text = f"replace(trim({cell}), ',', '.')"
    if style == ISO:
        zone = f"regexp_matches({text}, ':\\d\\d(\\.\\d+)?\\s*(Z|[+-]\\d\\d(:?\\d\\d)?)$')"
        spelt = f"regexp_replace({text}, '\\s*([+-]\\d\\d):?(\\d\\d)$', '\\1:\\2')"
        return f"""epoch(CASE WHEN {zone} THEN TRY_CAST({spelt} AS TIMESTAMPTZ)::TIMESTAMP
            ELSE TRY_CAST({text} AS TIMESTAMP) END)"""
    formats = [DATES[style] + year + clock for clock in CLOCKS for year in ("%y", "%Y")]
    return f"epoch(try_strptime({text}, {formats}))"


def literal(value: object) -> str:
    """SQL for a text."""
    return "'" + str(value).replace("'", "''") + "'"


def iso_time(at: float) -> str:
    """Write seconds since 1970 as ISO 8601 in UTC, no longer than needed.

    >>> iso_time(1764000000.25), iso_time(0.0), iso_time(1e300)
    ('2025-11-24T16:00:00.25Z', '1970-01-01T00:00:00Z', '1e+300')
    """
    if not EARLIEST <= at < LATEST:
        return repr(at)
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(at * 1e6))
    text = when.replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"
