"""test_names.py - names and texts that were made to do harm, through a running service to its JSON, read by a parser that forgives nothing, and back."""
import json
import os
import random
import struct
import tempfile

import service
from service import alone

COUNT, SLICE = 10_000, 1000
NAME_BYTES = TEXT_BYTES = 512
FIXED = [b"<img src=x onerror=alert(1)>", b"</script><script>alert(1)</script>", b"<!--", b"-->", b"]]>", b"javascript:alert(1)", b"{{7*7}}", b"${7*7}", b"%n%s%x%p",
         b"' OR 1=1 --", b'"', b"\\", b'\\"', b"\\u0000", b"\\ud800", b"\x00", b"a\x00b", b"\n", b"\r\n\r\nHTTP/1.1 200 OK", b"\x1b[31m", b"\x07", b"\x7f", b"\x08", b"\x0c",
         "\u202egnp.exe".encode(), "\u2066\u2069\u200f\u200e".encode(), "\u2028\u2029".encode(), "\ufeff".encode(), "\u200b".encode(), "\ufffe\uffff".encode(), "\U0010ffff".encode(),
         "\U0001f4a9".encode(), "a\u0301".encode(), b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb2\xa9", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf",
         b"\xf0\x80\x80\xaf", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x92", b"\xff", b"\xfe\xff", b"\x80", b"\xbf" * 100, b"\xc3(", b"a\xffb", b"__proto__", b"constructor", b"toString", b"null", b"NaN",
         b"-0", b"1e400", b"../../etc/passwd", b"[", b"]", b"{", b"},", b'"},{"t":"end"', b"\xe2\x80\xa8", b" " * 512, b"x" * 511, b"x" * 512, b"x" * 513, b"y" * (1 << 20), b"\xff" * (1 << 20),
         "\U0001f4a9".encode() * 200, b"z" * 511 + "\u00e9".encode()]


def generated():
    rng = random.Random(7)
    pieces = [piece[:64] for piece in FIXED] + [bytes([b]) for b in range(256)] + [chr(c).encode("utf-8", "surrogatepass") for c in (0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdfff, 0xe000, 0xffff, 0x10000)]
    seen, records = set(), []
    for record in FIXED:
        records.append(record)
        seen.add(record.split(b"\0")[0][:NAME_BYTES])
    while len(records) < COUNT:
        record = b"".join(rng.choice(pieces) for _ in range(rng.randrange(1, 9))) if rng.random() < 0.7 else rng.randbytes(rng.randrange(1, 60))
        name = record.split(b"\0")[0][:NAME_BYTES - 4]
        if name not in seen:  # distinct also after the cut, so that each is found again
            seen.add(name)
            records.append(record)
    return records


def replaced(raw):
    """What docs/format.md says: each byte that is not part of valid UTF-8 becomes U+FFFD."""
    out, at = [], 0
    while at < len(raw):
        for size in (1, 2, 3, 4):
            try:
                out.append(raw[at:at + size].decode("utf-8"))
                at += size
                break
            except UnicodeDecodeError:
                continue
        else:
            out.append("\ufffd")
            at += 1
    return "".join(out)


def same(got, raw, limit):
    """Cut at the limit, and there perhaps in the middle of a character."""
    if len(raw) <= limit:
        return got == replaced(raw)
    return got.startswith(replaced(raw[:limit - 4])[:-4]) and len(got.encode()) <= 3 * limit


def strict(body):
    """Parsed as RFC 8259 says and then some: ASCII, no doubled member, no NaN, whole numbers up to 2^53, no lone surrogate."""
    assert body.isascii()

    def once(pairs):
        assert len({name for name, _ in pairs}) == len(pairs), pairs[:5]
        return dict(pairs)

    def whole(digits):
        assert abs(int(digits)) <= 1 << 53, digits
        return int(digits)

    def nothing(word):
        raise AssertionError(word)
    document = json.loads(body.decode("ascii"), object_pairs_hook=once, parse_int=whole, parse_constant=nothing)
    json.dumps(document, ensure_ascii=False).encode("utf-8")  # a lone surrogate would fail here
    assert json.loads(json.dumps(document)) == document
    return document


def column(chunk, name):
    return chunk[name] if isinstance(chunk[name], list) else [chunk[name]] * chunk["n"]


def check_slice(s, records, start):
    info = s.post("/debug/trace/captures", {"seconds": 60}).expect(202).json()
    service.wait_until(lambda: s.status()["recording"], "the capture")
    s.order(f"{start} {start + SLICE}")
    s.line(f"emitted {start}")
    s.post(info["url"] + "/stop", b"").expect(200)
    ended = service.wait_until(lambda: (lambda i: i if i["state"] == "ended" else None)(s.get(info["url"]).json()), "its end")
    assert ended["lost"] == 0, ended
    assert service.validate(s.get(info["url"] + "?format=native").expect(200).body) == "exact"
    document = strict(s.get(info["url"] + "?format=json").expect(200).body)
    assert document["end"]["identity"] == "exact" and "untold" not in document["end"], document["end"]
    s.ask("DELETE", info["url"]).expect(204)
    strings, named, texts = {}, {}, []
    for chunk in document["chunks"]:
        if chunk["t"] == "str":
            strings.update(enumerate(chunk["v"], chunk["base"]))
        elif chunk["t"] == "counter" and not strings[chunk["name"]].startswith("memory."):  # those are the tracer's own
            named.update((value, strings[chunk["name"]]) for value in column(chunk, "v"))
        elif chunk["t"] == "log":
            texts += column(chunk, "text")
    assert sorted(named) == list(range(start, start + SLICE)) and len(texts) == SLICE, (len(named), len(texts))
    for number, record in enumerate(records[start:start + SLICE], start):
        assert same(named[number], record.split(b"\0")[0], NAME_BYTES), (number, record[:80], named[number][:80])
        assert same(texts[number - start], record, TEXT_BYTES), (number, record[:80], texts[number - start][:80])


@alone
def ten_thousand_hostile_names_come_out_as_valid_json_and_as_themselves():
    records = generated()
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(struct.pack("<I", len(record)) + record for record in records))
        file.flush()
        s = service.Service(file.name, program=os.environ["TTAP_HOSTILE_NAMES"])
    for start in range(0, COUNT, SLICE):
        check_slice(s, records, start)
    print(f"{COUNT} names and as many texts")
    s.end()


def hostile_names_of_kinds_come_back_from_the_setting_as_they_were(s):
    kinds = sorted({name for name in (replaced(record.split(b"\0")[0][:100]).replace(",", ";") for record in generated()) if name})
    for start in range(0, 1280, 64):
        setting = {"default": 0.5, "kinds": {name: 0.25 for name in kinds[start:start + 40]}}
        answer = s.put("/debug/trace/sampling", setting).expect(200)
        assert strict(answer.body) == setting == strict(s.get("/debug/trace/sampling").body), start
        strict(s.get("/debug/trace/status").body)


def errors_that_name_hostile_values_are_valid_json(s):
    import urllib.parse
    for record in generated()[:1500]:
        value = urllib.parse.quote_from_bytes(record[:2000].replace(b"\0", b"?"), safe="")
        for path in (f"/debug/trace?format={value}", f"/debug/trace?{value}=1"):
            answer = s.get(path)
            assert answer.status in (400, 414), (answer.status, path[:100])
            if answer.headers["Content-Type"].startswith("application/json"):
                assert b"<" not in answer.body  # the only JSON that a browser may be made to show
                assert strict(answer.body)["error"]["code"] in ("bad_parameter", "bad_request")
    assert s.status()["captures_started"] == 0


if __name__ == "__main__":
    service.main(__file__)
