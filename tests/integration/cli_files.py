"""cli_files.py - stat and convert on whole, cut, damaged, empty and foreign files."""
import json
import shutil
import subprocess

import cli_support as cli


# ---- stat ----

def stat_counts_events_by_kind_and_thread():
    figures = cli.stat(cli.capture_file())
    assert figures["identity"] == "exact", figures["identity"]
    assert figures["truncated"] is False and figures["reason"] == "window" and figures["problem"] == ""
    assert figures["offered"] == figures["emitted"] == figures["delivered"] == 17
    assert figures["lost"] == {"total": 0, "full": 0, "nested": 0, "queue": 0, "late": 0, "stall": 0}
    kinds = {row["name"]: row["delivered"] for row in figures["kinds"]}
    assert kinds["region_begin"] == 2 and kinds["task_end"] == 1 and kinds["gc_begin"] == 0, kinds
    assert sum(kinds.values()) == 17
    threads = {row["name"]: (row["tid"], row["delivered"]) for row in figures["threads"]}
    assert threads == {"acceptor": (801, 6), "worker": (802, 11)}, threads
    assert figures["bytes"] == len(cli.read("two.trace"))
    assert abs(figures["bytes_per_event"] - figures["bytes"] / 17) < 0.01


def stat_prints_a_table_for_people():
    text = cli.run("stat", cli.capture_file()).expect(0).out.decode()
    for words in ["identity: exact", "offered", "delivered", "acceptor", "worker", "region_begin", "bytes per event", "drainer ns per event"]:
        assert words in text, text


def stat_reads_standard_input():
    data = cli.read(cli.capture_file())
    piped = json.loads(cli.run("stat", "-", "--json", stdin=data).expect(0).out)
    assert piped["file"] == "standard input" and piped["delivered"] == 17


def stat_of_a_capture_cut_anywhere_is_a_lower_bound():
    data = cli.read(cli.capture_file())
    first_block_end = cli.blocks_of(data)[1]
    for at in sorted({first_block_end, *cli.blocks_of(data)[1:], *range(first_block_end, len(data), 37), len(data) - 1}):
        figures = cli.stat(cli.write("cut.trace", data[:at]))
        assert figures["truncated"] is True and figures["reason"] == "cut", at
        assert figures["delivered"] <= 17
    text = cli.run("stat", "cut.trace").expect(0).out.decode()
    assert "truncated" in text


def stat_of_a_capture_cut_in_its_header_says_so():
    data = cli.read(cli.capture_file())
    for at in [1, 7, 8, 15, 16, 20, cli.blocks_of(data)[1] - 1]:
        result = cli.run("stat", cli.write("cut.trace", data[:at])).expect(1, "cut.trace: ")
        assert result.out == b""


def every_command_says_where_a_header_is_cut_and_which_version_it_has():
    data = cli.read(cli.capture_file())
    later = bytearray(data)
    later[8] = 2
    for bytes_, words in [(data[:cli.blocks_of(data)[1] - 1], "cut inside block 0"), (later, "format version 2.0; this build reads 1")]:
        cli.write("x.trace", bytes_)
        for args in [("stat",), ("convert", "-o", "x.json"), ("view", "--no-open")]:
            cli.run(*args, "x.trace").expect(1, "x.trace: ", words)
    assert not cli.os.path.exists("x.json")


def stat_of_a_damaged_block_counts_what_came_before():
    data = bytearray(cli.read(cli.capture_file()))
    last = cli.blocks_of(data)[-1]
    data[last + 1] ^= 0xff
    figures = cli.stat(cli.write("bad.trace", data))
    assert figures["truncated"] is True and "block" in figures["problem"], figures["problem"]
    assert figures["delivered"] == 17


FOREIGN = [
    (b"", "empty"),
    (b"TRACE", "cut within its first bytes"),
    (cli.gzipped(b"TRACETAP"), "gzip"),
    (b"\x28\xb5\x2f\xfd....", "zstd"),
    (b'{"format":"tracetap","version":1}', "JSON"),
    (b'  [1]', "JSON"),
    (b'{"error":{"code":"bad"}}', "error message"),
    (b"\x0a\x10\x18\x01\x50\x01", "Perfetto"),
    (b"go 1.26 trace\0\0\0", "Go"),
    (b"PERFILE2", "perf.data"),
    (b"\x7fELF\2\1\1", "program"),
    (b"<!DOCTYPE html>", "HTML"),
    (b"HTTP/1.1 200 OK\r\n", "HTTP reply"),
    (b"PK\3\4", "zip"),
    (b"hello\033[2J", 'begins with "hello\\x1b[2J"'),
]


def a_foreign_file_is_refused_by_the_name_of_what_it_is():
    for data, word in FOREIGN:
        cli.write("foreign", data)
        cli.run("stat", "foreign").expect(1, "foreign: not a tracetap capture", word)
        cli.run("convert", "foreign").expect(1, "foreign: not a tracetap capture", word)
    assert not cli.os.path.exists("foreign.json") and not cli.os.path.exists("foreign.json.part")
    cli.run("stat", "missing").expect(1, "missing: No such file")
    cli.run("stat", ".").expect(1, ".: Is a directory")


def stat_shows_hostile_names_harmlessly():
    cli.capture_file("hostile.trace", rb'''header duration_ns=10000
threads thread=1 tid=801 name="evil\x1b[2J\xff"
thread 1 at 1000: instant name="a\x1b[31m"
clock ticks=10000 mono_ns=10000
end reason=window at=10000
''')
    assert b"\033" not in cli.run("stat", "hostile.trace").expect(0).out
    assert cli.stat("hostile.trace")["threads"][0]["name"] == "evil\x1b[2J\ufffd"


# ---- convert ----

def convert_writes_json_that_jq_reads():
    if not shutil.which("jq"):
        raise cli.Skip("no jq")
    result = cli.run("convert", cli.capture_file(), "--format", "json", "-o", "out.json").expect(0)
    assert result.out == b"" and result.err == ""
    done = subprocess.run(["jq", "-e", '.end.account.delivered == 17 and .end.identity == "exact" and .format == "tracetap"', "out.json"],
                          capture_output=True, timeout=cli.TIMEOUT_S)
    assert done.returncode == 0, done
    done = subprocess.run(["jq", "-c", '[.chunks[] | select(.t == "lane") | .name]', "out.json"], capture_output=True, check=True, timeout=cli.TIMEOUT_S)
    assert sorted(json.loads(done.stdout)) == ["acceptor", "worker"], done.stdout


def convert_names_its_output_by_the_format():
    cli.os.mkdir("dir.d")
    for name, expected in [("two.trace", "two.json"), ("dir.d/plain", "dir.d/plain.json"), ("a.b.trace", "a.b.json"), (".hidden", ".hidden.json")]:
        cli.capture_file(name)
        cli.run("convert", name).expect(0)
        assert json.loads(cli.read(expected))["format"] == "tracetap"
        assert not cli.os.path.exists(expected + ".part")


def convert_reads_and_writes_pipes():
    data = cli.read(cli.capture_file())
    by_pipe = cli.run("convert", "-", stdin=data).expect(0).out
    assert cli.run("convert", "two.trace", "-o", "-").expect(0).out == by_pipe
    cli.run("convert", "two.trace").expect(0)
    assert cli.read("two.json") == by_pipe


def convert_to_native_gives_the_same_bytes():
    data = cli.read(cli.capture_file())
    assert cli.run("convert", "two.trace", "--format", "native", "-o", "-").expect(0).out == data


def convert_never_overwrites_what_it_reads():
    data = cli.read(cli.capture_file())
    cli.run("convert", "two.trace", "--format", "json", "-o", "two.trace").expect(2, "two.trace", "is the file that is read")
    cli.os.symlink("two.trace", "link")
    cli.run("convert", "two.trace", "-o", "link").expect(2, "link")
    assert cli.read("two.trace") == data


def a_cut_capture_converts_with_a_warning():
    data = cli.read(cli.capture_file())
    for at in cli.blocks_of(data)[1:]:
        cli.run("convert", cli.write("cut.trace", data[:at]), "-o", "cut.json").expect(0, "warning", "cut.trace was cut")
        document = json.loads(cli.read("cut.json"))
        assert document["end"]["truncated"] is True


def a_conversion_that_cannot_be_written_leaves_nothing():
    cli.capture_file()
    cli.run("convert", "two.trace", "-o", "no/such/out.json").expect(1, "no/such/out.json: No such file")
    cli.run("convert", "two.trace", "-o", cli.full_device()).expect(1, "full: No space left")
    assert sorted(cli.os.listdir(".")) == ["full", "two.trace"] and cli.os.path.islink("full")


if __name__ == "__main__":
    cli.main()
