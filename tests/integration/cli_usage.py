"""cli_usage.py - each wrong use of each command: exit code 2, the argument named, what is allowed, the usage line; and help for all."""
import re

import cli_support as cli

# arguments, then words that the message must have
WRONG = [
    (["fly"], ["fly", "no such command"]),
    (["--fly"], ["--fly", "no such command"]),
    (["help", "fly"], ["fly", "no such command", "usage: tracetap help"]),
    (["help", "stat", "view"], ["view", "one argument too many"]),
    (["capture"], ["ADDRESS is missing", "usage: tracetap capture"]),
    (["capture", "a", "b"], ["b: one argument too many"]),
    (["capture", "--sec", "5", ":1"], ["--sec", "no such option", "usage: tracetap capture"]),
    (["capture", "-x", ":1"], ["-x", "no such option"]),
    (["capture", "--seconds"], ["--seconds needs a value", "N"]),
    (["capture", "-s"], ["--seconds needs a value"]),
    (["capture", "--seconds", "abc", ":1"], ["--seconds abc", "above 0 and up to 3600"]),
    (["capture", "--seconds", "0", ":1"], ["--seconds 0", "above 0"]),
    (["capture", "--seconds", "-1", ":1"], ["--seconds -1", "above 0"]),
    (["capture", "--seconds", "1e3", ":1"], ["--seconds 1e3"]),
    (["capture", "--seconds", "0x5", ":1"], ["--seconds 0x5"]),
    (["capture", "--seconds", "nan", ":1"], ["--seconds nan"]),
    (["capture", "--seconds", "3600.1", ":1"], ["--seconds 3600.1", "3600"]),
    (["capture", "--seconds", "1.2.3", ":1"], ["--seconds 1.2.3"]),
    (["capture", "--seconds", ".", ":1"], ["--seconds ."]),
    (["capture", "--seconds=", ":1"], ["--seconds : must be"]),
    (["capture", "--bytes", "1", ":1"], ["--bytes 1", "from 4096 to 1099511627776", "K, M or G"]),
    (["capture", "--bytes", "5T", ":1"], ["--bytes 5T"]),
    (["capture", "--bytes", "5KB", ":1"], ["--bytes 5KB"]),
    (["capture", "--bytes", "99999999999999999999", ":1"], ["--bytes 99999999999999999999"]),
    (["capture", "--bytes", "18014398509481992K", ":1"], ["--bytes 18014398509481992K"]),  # 8 KiB if multiplied carelessly
    (["capture", "--bytes", " 8192", ":1"], ["--bytes  8192"]),
    (["capture", "--output", "", ":1"], ["--output", "FILE must not be empty"]),
    (["capture", "--format", "", ":1"], ["--format", "must not be empty"]),
    (["capture", "ftp://localhost/"], ["ftp://localhost/", "http://"]),
    (["capture", "localhost:99999"], ["localhost:99999", "not an address"]),
    (["capture", ":1/?seconds=2", "--seconds", "5"], ["seconds is given twice"]),
    (["capture", ":1", "--long-wait", "50"], ["--long-wait 50", "without --samples none are", "--samples 99"]),
    (["run", "-o", "a", "--long-wait", "50", "--", "true"], ["--long-wait 50", "without --samples none are", "--samples 99"]),
    (["stat"], ["FILE is missing", "usage: tracetap stat"]),
    (["stat", ""], ["FILE must not be empty"]),
    (["capture", ""], ["ADDRESS must not be empty"]),
    (["convert", "--debug-dir", "/no/such/folder", "a"], ["--debug-dir /no/such/folder", "must be a folder"]),
    (["view", "--debug-dir", "", "a"], ["--debug-dir", "must be a folder"]),
    (["stat", "a", "b"], ["b: one argument too many"]),
    (["stat", "--json=yes", "a"], ["--json takes no value"]),
    (["stat", "--seconds", "5", "a"], ["--seconds", "no such option of tracetap stat"]),
    (["convert"], ["FILE is missing"]),
    (["convert", "--format", "svg", "a"], ["--format svg", "must be one of native, json"]),
    (["convert", "--output"], ["--output needs a value"]),
    (["doctor", ":1", ":2"], [":2: one argument too many", "usage: tracetap doctor"]),
    (["doctor", "ftp://localhost/"], ["ftp://localhost/", "http://"]),
    (["doctor", "--json=1"], ["--json takes no value"]),
    (["view"], ["FILE is missing"]),
    (["view", "--port", "0", "a"], ["--port 0", "from 1 to 65535"]),
    (["view", "--port", "65536", "a"], ["--port 65536"]),
    (["view", "--port", "http", "a"], ["--port http"]),
    (["view", "--no-open=1", "a"], ["--no-open takes no value"]),
]

COMMANDS = ["run", "capture", "stat", "convert", "view", "doctor", "help"]


def wrong_use_names_the_argument_and_what_is_allowed():
    for args, words in WRONG:
        result = cli.run(*args)
        assert result.out == b"", args
        try:
            result.expect(2, "tracetap: ", *words)
        except AssertionError as failure:
            raise AssertionError(f"tracetap {' '.join(args)}: {failure}") from None


def without_a_command_it_tells_what_there_is_and_fails():
    result = cli.run().expect(2)
    for command in COMMANDS:
        assert command in result.out.decode()


def help_tells_of_every_command_and_every_option():
    overview = cli.run("help").expect(0).out.decode()
    assert cli.run("--help").expect(0).out.decode() == overview
    for command in COMMANDS:
        assert command in overview
        text = cli.run("help", command).expect(0).out.decode()
        assert text.startswith(f"usage: tracetap {command}")
        assert cli.run(command, "--help").expect(0).out.decode() == text
        assert cli.run(command, "-h").expect(0).out.decode() == text
        assert all(len(line) <= 120 for line in text.splitlines()), command


def every_option_of_the_help_is_in_the_manual():
    with open(cli.os.path.join(cli.SOURCES, "docs", "cli.md"), encoding="utf-8") as file:
        manual = file.read()
    for command in COMMANDS:
        text = cli.run("help", command).expect(0).out.decode()
        for option in re.findall(r"^ .*?(--[a-z-]+)", text, re.MULTILINE):
            assert f"`{option}" in manual, f"{command} {option} is not in docs/cli.md"


def the_version_is_that_of_the_library():
    with open(cli.os.path.join(cli.SOURCES, "include", "tracetap", "tracetap.h"), encoding="utf-8") as file:
        version = re.search(r'TTAP_VERSION_STRING "([^"]+)"', file.read()).group(1)
    assert cli.run("--version").expect(0).out.decode().splitlines()[0] == f"tracetap {version}"


def a_hostile_argument_cannot_move_the_cursor():
    result = cli.run("stat", "no\033[2Jfile\n").expect(1, "no\\x1b[2Jfile\\x0a: No such file or directory")
    assert "\033" not in result.err


def a_full_disk_is_reported():
    name = cli.capture_file()
    done = cli.subprocess.run([cli.program("tracetap"), "stat", name], stdout=open("/dev/full", "wb"), stderr=cli.subprocess.PIPE,
                              timeout=cli.TIMEOUT_S)
    assert done.returncode == 1, done
    assert b"cannot write to standard output" in done.stderr


def a_closed_standard_stream_is_not_taken_by_a_file():
    name = cli.capture_file()
    tracetap = cli.program("tracetap")
    def closed(stream, *args):
        return cli.subprocess.run(["sh", "-c", f'"$@" {stream}&-', "sh", tracetap, *args], capture_output=True, text=True, timeout=cli.TIMEOUT_S)
    for args in [("stat", name), ("stat", "--json", name), ("convert", name, "-o", "-"), ("view", "--no-open", name), ("--version",)]:
        done = closed(">", *args)
        assert done.returncode == 1 and "standard output" in done.stderr and "temporar" not in done.stderr, (args, done)
    done = closed("<", "stat", "-")
    assert done.returncode == 1 and "standard input: Bad file descriptor" in done.stderr, done
    done = closed("2>", "convert", name, "-o", "out.json")
    assert done.returncode == 0 and cli.read("out.json").startswith(b"{"), done


if __name__ == "__main__":
    cli.main()
