"""Ways to spoil a row of a file, as programs, people and disks do: each takes the good row and gives the bytes of a bad or odd one.

A spoilt row need not be wrong (a key may be renamed to itself, a flipped byte may still be a letter): what reads it decides, and must
never fall over. mutations.py counts what becomes of them.
"""
import copy
import gzip
import json
from random import Random

MARKED = "\x01spoilt\x01"  # stands in a record where raw text goes that `json` would not write
RAW_JSON = ("NaN", "Infinity", "-Infinity", "1e999", "-0", "9" * 400, "9" * 5000, "01", "'single'", "undefined", "tru", "[1,]", "{,}", "//",
            '"\\ud800"', '"\\udc00 half a pair"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\x"', '"a\tb"', '"open', "[" * 300 + "]" * 300,
            "[" * 990 + "]" * 990, "[" * 100_000, '{"a":' * 400 + "1" + "}" * 400, '{"a":' * 30_000)
VALUES = (None, True, False, 0, -1, 5, 2.5, 1e300, 10**18, 2**64, "", " ", "\n\t ", "\u2028", "\ufeff", "\x00", "\x07\x1b[31m",
          "<|end|>", "é" * 3,
          "Ã©Ã¨", "word " * 3_000, "x" * 200_000, [], {}, [[]], [None], ["text"], [{}], [1, "a", None], {"a": {"b": []}}, {"role": None},
          [{"role": "user"}], [{"role": 5, "content": []}], {"role": "user", "content": {"text": 1}}, "2024-02-30", "١٢٣", "=1+1")
BYTES = (b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x81", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1a", b"\r", b"\x0b", b"\x0c", b"\x1c",
         b"\x85",
         b"\xe2\x80\xa8", b'"', b"'", b"\\", b",", b";", b"\t", b"{", b"}", b"[", b"]", b"<", b">", b"&", b"&x;", b"]]>", b"=", b"#",
         b"\x1b[2J")
KEYS = ("", " ", "id", "text", "role", "prompt", "messages", "chosen", "question", "answer", "score", "set_id", "a b", "é", "\x00",
        "x" * 5000,
        "key.with.dots", "{braces}")


def spoil_bytes(random: Random, row: bytes) -> bytes:
    """A flipped bit, a cut, a stray byte or run of them, a part twice or gone, another encoding, other line ends."""
    at, end = sorted((random.randrange(len(row) + 1), random.randrange(len(row) + 1)))
    if not row:
        return random.choice(BYTES)
    flipped = bytearray(row)
    flipped[at % len(row)] ^= 1 << random.randrange(8)
    ways = (bytes(flipped), row[:at], row[at:], row[:at] + random.choice(BYTES) + row[at:], row[:at] + random.choice(BYTES) * 3 + row[end:],
            row[:end] + row[at:], row[:at] + row[end:], row + row, b"", b"   ", random.choice(BYTES) + row, row + random.choice(BYTES),
            row.decode(errors="replace").encode("utf-16"), row.decode(errors="replace").encode("utf-16-le"), b"\xef\xbb\xbf" + row,
            row.decode(errors="replace").encode("cp1252", errors="replace"), row.replace(b" ", random.choice((b"\r", b"\n", b"\r\n",
                                                                                                              b"\xa0"))),
            gzip.compress(row), gzip.compress(row)[:-5], bytes(random.randrange(256) for _ in range(random.randrange(1, 60))))
    return random.choice(ways)


def spoil_json(random: Random, record: object) -> bytes:
    """A record as JSON with one place changed, or its bytes spoilt."""
    row = json.dumps(record, ensure_ascii=random.random() < 0.5).encode()
    if random.random() < 0.3:
        return spoil_bytes(random, row)
    changed = copy.deepcopy(record)
    raw = _change(random, changed)
    return json.dumps(changed, ensure_ascii=random.random() < 0.5).replace(json.dumps(MARKED), raw).encode()


def _change(random: Random, record: object) -> str:
    """Change one place of a record; the raw text for MARKED."""
    holder, key = random.choice(list(_places(record)))
    way = random.choice(("value", "value", "raw", "delete", "rename", "twice"))
    if way == "raw":
        holder[key] = MARKED
    elif way == "delete":
        del holder[key]
    elif way == "rename" and isinstance(holder, dict):
        holder[random.choice((*KEYS, str(key).upper(), f"{key} "))] = holder.pop(key)
    elif way == "twice" and isinstance(holder, dict):
        value = json.dumps(holder[key])
        holder[key] = MARKED
        return f"{value}, {json.dumps(key)}: {json.dumps(random.choice(VALUES))}"
    else:
        holder[key] = random.choice(VALUES)
    return random.choice(RAW_JSON)


def _places(value: object):
    """(dict or list, key or index) of everything inside."""
    for key, inner in (value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def spoil_cells(random: Random, cells: list[str], delimiter: str = ",") -> bytes:
    """A table's row with a cell changed, added, lost or left open, or its bytes spoilt."""
    if random.random() < 0.3:
        return spoil_bytes(random, delimiter.join(cells).encode())
    changed, at = list(cells), random.randrange(len(cells))
    odd = (*(value for value in VALUES if isinstance(value, str) and "\x00" not in value), '"', '"open', 'half" open', '""', '"a"b',
           '"two\nlines"',
           "NaN", "9" * 5000, "a" * 140_000, f'"{delimiter}"', "#REF!", "{a}", "warfarin", "none")
    way = random.choice(("cell", "cell", "cell", "more", "fewer", "none"))
    if way == "cell":
        changed[at] = random.choice(odd)
    elif way == "more":
        changed.insert(at, random.choice(odd))
    else:
        del changed[at:at + 1 if way == "fewer" else None]
    return delimiter.join(changed).encode(errors="surrogatepass")


def spoil_xml(random: Random, element: str) -> bytes:
    """An element with an entity, an unclosed or foreign tag, deep nesting, a lost attribute, or its bytes spoilt."""
    if random.random() < 0.3:
        return spoil_bytes(random, element.encode())
    marks = [at for at, letter in enumerate(element) if letter in "<>"]
    at = random.choice(marks) + random.randrange(2)
    odd = ("&x;", "&lol;", "&amp;", "&#0;", "&#xD800;", "&#9999999;", "<b>", "</b>", "<b/>", "<!-- note -->", "<!-- open", "<?pi x?>",
           "<![CDATA[x]]>",
           "<![CDATA[", "<b:c/>", "<b xmlns=''/>", "<a>" * 200 + "</a>" * 200, "<a>" * 3000 + "</a>" * 3000, "<section>", "<code/>",
           "word " * 3000,
           "<list><item/></list>", "<table><tr><td/></tr></table>", "<Question/>", "<Answer>two</Answer>", "\n" * 50, "<!DOCTYPE x>",
           "<b c=d>")
    ways = (element[:at] + random.choice(odd) + element[at:], element[:at] + random.choice(odd) + element[at:], element[:at], element[at:],
            element.replace("code", random.choice(("kode", "code x='1'", "title")), 1), element.replace("</", "<", 1),
            element.replace("=", " ", 1),
            element.replace("text", "text2"), element.replace('"', "", 1), element * 3)
    return random.choice(ways).encode(errors="surrogatepass")


RAW_TOML = ("nan", "inf", "-inf", "1e999", "9" * 5000, "0", "-1", "2.5", "true", "[]", "{}", "[[]]", '[""]', '["a", 1]', "{a = 1}", '""',
            '" "', '"\\u0000"',
            '"\\ud800"', '"{"', '"{a} {b} {c} {0} }"', "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "'''", '"open',
            "[" * 300 + "]" * 300,
            "[" * 2000 + "]" * 2000, "{a = " * 600, '"' + "x" * 100_000 + '"', '["nothing"]', '"drug:nothing"', '"class:"', '"&"',
            '"cyp:a:b:c:d"', '"\x07"',
            '"\\u007f"', '[{}]', '[{effect = 5}]', "0x_", "1_000", '"avoid"', '"contraindicated"', '["avoid"]', '"é"')


def spoil_toml(random: Random, text: str) -> bytes:
    """A file of TOML with one line's value or key changed, the line lost, doubled or moved, or bytes spoilt."""
    if random.random() < 0.2:
        return spoil_bytes(random, text.encode())
    lines = text.splitlines()
    at = random.randrange(len(lines))
    key, equals, value = lines[at].partition("=")
    other_key = random.choice((key.upper(), "x", "", '"a b"', "id", "a.b"))
    ways = {"value": [f"{key}= {random.choice(RAW_TOML)}"], "key": [f"{other_key} ={value}"],
            "lost": [], "twice": [lines[at], lines[at]], "header": [random.choice(("[x]", "[[x]]", "[", "[[term]]", "[]", "[a.b]", "]",
                                                                                   "x")), lines[at]]}
    way = random.choice(("value", "value", "value", *ways)) if equals else random.choice(("lost", "twice", "header"))
    return ("\n".join(lines[:at] + ways[way] + lines[at + 1:]) + "\n").encode()
