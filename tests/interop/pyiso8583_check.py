"""Checks Kura's ISO 8583 codec against an independent one, pyiso8583 with its `default_ascii` specification.

Standard input, one JSON object a line:
  first   {"table": [{"number", "prefix", "min", "max", "characters"}, ...]}   the fields of Kura's dialect
  then    {"mti", "fields": {"2": "...", ...}, "hex"}                          messages that Kura encoded

Every message is decoded, compared field by field, encoded again and compared byte by byte. Then this program makes
messages of its own and writes them to standard output, one JSON object a line, for Kura to decode:
  {"mti", "fields", "hex"}   a message of the dialect
  {"refuse": "why", "hex"}   one that Kura must refuse
The first difference ends the program with status 1 and a reason that names fields, never values.
"""

import json
import random
import sys

import iso8583
from iso8583.specs import default_ascii as spec

CHARACTERS = {
    "digits": "0123456789",
    "upper_alphanumeric": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "printable": "".join(chr(code) for code in range(0x20, 0x7F)),
}
REQUESTS = ["0100", "0200", "0220", "0400", "0420", "0600", "0800"]
MTIS = REQUESTS + [f"{int(mti) + 10:04}" for mti in REQUESTS]
OWN_MESSAGES = 2000


def fail(reason):
    sys.exit(f"pyiso8583_check: {reason}")


def check_table(table):
    """A field has the length type of the specification, and is never longer."""
    for row in table:
        number, theirs = row["number"], spec[str(row["number"])]
        if theirs["data_enc"] != "ascii" or theirs["len_enc"] != "ascii":
            fail(f"field {number}: the specification isn't ASCII")
        if row["prefix"] != theirs["len_type"]:
            fail(f"field {number}: {row['prefix']} digits of length, the specification has {theirs['len_type']}")
        if row["prefix"] == 0 and not row["min"] == row["max"] == theirs["max_len"]:
            fail(f"field {number}: fixed at {row['max']}, the specification at {theirs['max_len']}")
        if row["max"] > theirs["max_len"]:
            fail(f"field {number}: up to {row['max']}, the specification up to {theirs['max_len']}")


def check_message(place, message):
    """Both codecs see the same fields in the same bytes."""
    sent = bytes.fromhex(message["hex"])
    try:
        decoded, _ = iso8583.decode(sent, spec)
    except iso8583.DecodeError as error:
        fail(f"message {place}: not decoded: {error.msg}, field {error.field}")
    fields = {key: value for key, value in decoded.items() if key.isnumeric() and key != "1"}
    if decoded["t"] != message["mti"]:
        fail(f"message {place}: another message type")
    for key in sorted(fields.keys() | message["fields"].keys(), key=int):
        if fields.get(key) != message["fields"].get(key):
            fail(f"message {place}: field {key} differs")
    encoded, _ = iso8583.encode({"t": message["mti"], **message["fields"]}, spec)
    if bytes(encoded) != sent:
        fail(f"message {place}: encoded to other bytes")


def encode(mti, fields):
    return bytes(iso8583.encode({"t": mti, **fields}, spec)[0]).hex()


def own_messages(table):
    """Messages of the dialect, from a fixed seed, so that a failure comes again."""
    draw = random.Random(8583)
    for _ in range(OWN_MESSAGES):
        fields = {}
        for row in draw.sample(table, draw.randint(0, len(table))):
            letters = CHARACTERS[row["characters"]]
            length = draw.randint(row["min"], row["max"])
            fields[str(row["number"])] = "".join(draw.choices(letters, k=length))
        mti = draw.choice(MTIS)
        yield {"mti": mti, "fields": fields, "hex": encode(mti, fields)}


def foreign_messages(table):
    """What the specification allows and the dialect does not: other fields, other types."""
    known = {row["number"] for row in table}
    for number in range(2, 129):
        if number in known or number == 65:
            continue
        length = spec[str(number)]["max_len"] if spec[str(number)]["len_type"] == 0 else 5
        yield {"refuse": f"field {number}", "hex": encode("0100", {str(number): "1" * length})}
    for mti in ("0101", "0120", "0300", "0500", "0820", "1100"):
        yield {"refuse": f"message type {mti}", "hex": encode(mti, {"11": "000001"})}


def main():
    lines = [json.loads(line) for line in sys.stdin]
    if not lines or "table" not in lines[0]:
        fail("the first line is not the table")
    table, messages = lines[0]["table"], lines[1:]
    check_table(table)
    for place, message in enumerate(messages):
        check_message(place, message)
    for made in [*own_messages(table), *foreign_messages(table)]:
        print(json.dumps(made))


if __name__ == "__main__":
    main()
