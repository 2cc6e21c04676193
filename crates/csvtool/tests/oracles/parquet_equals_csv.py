"""Checks a Parquet file (or a partitioned directory) against the CSV of the same archives, with pyarrow and DuckDB.

usage: parquet_equals_csv.py TABLE.parquet TABLE.csv
"""

import csv
import glob
import os
import sys
from decimal import Decimal

import duckdb
import pyarrow
import pyarrow.parquet

parquet, text = sys.argv[1:]
with open(text, newline="") as file:
    names, *rows = csv.reader(file)
table = pyarrow.parquet.read_table(parquet, partitioning=None)
assert table.num_rows == len(rows), (table.num_rows, len(rows))
assert table.schema.names == names, table.schema.names

source = os.path.join(parquet, "**/*.parquet") if os.path.isdir(parquet) else parquet
duck = duckdb.connect()
duck.execute(f"CREATE VIEW t AS SELECT * FROM read_parquet('{source}', hive_partitioning = false)")


def ask(sql):
    return duck.execute(sql).fetchall()


assert [column for column, *_ in ask("DESCRIBE t")] == names
assert ask("SELECT count(*) FROM t") == [(len(rows),)]

checked = dict.fromkeys(["numbers", "flags", "times", "text"], 0)
for at, name in enumerate(names):
    cells = [row[at] for row in rows]
    known = [cell for cell in cells if cell != ""]
    column = table.column(name)
    kind = column.type
    # An empty text and an absent one are both an empty cell.
    if not pyarrow.types.is_string(kind):
        assert column.null_count == len(cells) - len(known), name
        assert ask(f'SELECT count("{name}") FROM t') == [(len(known),)], name
    if pyarrow.types.is_integer(kind):
        base = 16 if name.endswith("Cookie") else 10
        values = [None if cell == "" else int(cell, base) for cell in cells]
        assert column.to_pylist() == values, name
        [(total,)] = ask(f'SELECT sum("{name}"::HUGEINT) FROM t')
        assert (total or 0) == sum(value for value in values if value is not None), name
        checked["numbers"] += 1
    elif pyarrow.types.is_boolean(kind):
        assert column.to_pylist() == [None if cell == "" else cell == "1" for cell in cells], name
        checked["flags"] += 1
    elif pyarrow.types.is_timestamp(kind):
        assert kind == pyarrow.timestamp("ns", tz="UTC"), (name, kind)
        nanoseconds = column.cast(pyarrow.int64()).to_pylist()
        for value, cell in zip(nanoseconds, cells):
            if cell != "":
                second, _, rest = cell.removesuffix("Z").partition(".")
                second, offset = (second, rest) if len(second) == 19 else (second[:19], second[19:])
                moment = pyarrow.scalar(second).cast(pyarrow.timestamp("ns")).cast(pyarrow.int64()).as_py()
                if cell.endswith("Z"):
                    assert value == moment + int(Decimal("0." + (rest or "0")) * 10**9), (name, cell)
        checked["times"] += 1
    else:
        assert pyarrow.types.is_string(kind), (name, kind)
        assert [value or "" for value in column.to_pylist()] == cells, name
        checked["text"] += 1
    metadata = table.schema.field(name).metadata
    assert metadata and metadata[b"description"], name
assert table.schema.field("TCP.RTT").metadata[b"unit"] == b"us"
for path in glob.glob(source, recursive=True):
    file = pyarrow.parquet.ParquetFile(path)
    for group in range(file.metadata.num_row_groups):
        assert file.metadata.row_group(group).column(0).compression == "ZSTD"
        assert file.metadata.row_group(group).num_rows <= 131072
print(f"{len(rows)} rows; columns: {checked}")
