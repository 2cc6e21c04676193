"""Validates rows for BigQuery against the JSON schema of the table.

usage: bq_rows.py SCHEMA.json ROWS.json
"""

import json
import sys

import jsonschema

with open(sys.argv[1]) as file:
    validator = jsonschema.Draft202012Validator(json.load(file))
rows = 0
with open(sys.argv[2]) as file:
    for line in file:
        validator.validate(json.loads(line))
        rows += 1
assert rows > 0
print(f"{rows} rows")
