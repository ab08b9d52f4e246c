"""CSV files of sensor readings: what their columns are, and their rows in order.

duckdb finds separator, quotes and header and splits the rows. Cells come as text and are cast to
what most cells of their column are, so a cell that cannot be read costs its row, never its column.
A row that cannot be read is a value, `BadRow`, not an exception.
"""

from flows.tables.cells import iso_time
from flows.tables.columns import Columns, TableError
from flows.tables.table import BadRow, Batch, Extent, Table, open_table, stem

__all__ = [
    "BadRow",
    "Batch",
    "Columns",
    "Extent",
    "Table",
    "TableError",
    "iso_time",
    "open_table",
    "stem",
]
