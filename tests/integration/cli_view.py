"""cli_view.py - `tracetap view`: one file behind the same endpoint as a live service."""
import json
import os
import re
import signal

import cli_support as cli


class View(cli.Background):
    """tracetap view FILE; the address it says."""

    def __init__(self, *args, **more):
        super().__init__("tracetap", "view", "--no-open", *args, **more)
        line = self.line("")
        self.name, url = line.split(": ", 1)
        self.base = re.match(r"http://127\.0\.0\.1:\d+/", url).group(0)
        self.page = url

    def json(self, path):
        status, headers, body = cli.get(self.base + path)
        assert status == 200, (status, body)
        assert headers["Content-Type"].startswith("application/json")
        assert headers["Cache-Control"] == "no-store"
        return json.loads(body)


def the_viewer_finds_status_list_and_document():
    cli.run("convert", cli.capture_file()).expect(0)
    with View("two.trace") as view:
        assert view.name == "two.trace" and "#/timeline?cap=1" in view.page
        status = view.json("debug/trace/status")
        assert status["mode"] == "file" and status["recording"] is False and status["api"] == 1
        assert [f["name"] for f in status["formats"]] == ["json"]
        captures = view.json("debug/trace/captures")["captures"]
        assert len(captures) == 1 and captures == status["captures"]
        info = captures[0]
        assert info == view.json("debug/trace/captures/1")
        assert info["id"] == 1 and info["state"] == "ended" and info["reason"] == "window" and info["url"] == "/debug/trace/captures/1"
        assert info["events"] == 17 and info["delivered"] == 17 and info["lost"] == 0
        assert info["elapsed_ns"] == 10000 and info["duration_ns"] == 10000 and isinstance(info["started_unix_ns"], str)
        assert info["bytes"] == os.path.getsize("two.trace")
        status, headers, body = cli.get(view.base + "debug/trace/captures/1?format=json")
        assert status == 200 and headers["Content-Type"] == "application/json"
        assert headers["Content-Disposition"] == 'attachment; filename="two.json"'
        assert body == cli.read("two.json")


def the_answers_have_the_members_of_a_live_service():
    """The viewer has no special case: whatever docs/http.md promises of an info is there, and so are the members it reads of the status."""
    with cli.Pipeline("--no-load") as pipeline, View(cli.capture_file()) as view:
        cli.subprocess.run(["curl", "-sf", "-H", "Content-Type: application/json", "-d", '{"seconds":0.05}',
                            pipeline.base + "debug/trace/captures"], check=True, timeout=cli.TIMEOUT_S, capture_output=True)
        live = json.loads(cli.get(pipeline.base + "debug/trace/status")[2])
        mine = view.json("debug/trace/status")
        assert set(live["captures"][0]) == set(mine["captures"][0]), set(live["captures"][0]) ^ set(mine["captures"][0])
        missing = set(live) - set(mine)
        assert not missing, missing


def the_page_is_served_with_its_policy():
    with View(cli.capture_file()) as view:
        status, headers, body = cli.get(view.base)
        assert status == 200 and b"<html" in body.lower(), body[:200]
        assert headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        for path in re.findall(rb'(?:src|href)="([^":]+)"', body):
            status, _, _ = cli.get(view.base + "debug/trace/ui/" + path.decode().removeprefix("./"))
            assert status == 200, path


def a_foreign_host_is_refused():
    with View(cli.capture_file()) as view:
        for path in ["", "debug/trace/status", "debug/trace/captures/1?format=json"]:
            status, _, body = cli.get(view.base + path, {"Host": "evil.example"})
            assert status == 403, (path, status)
            assert json.loads(body)["error"]["code"] == "forbidden"
        status, _, _ = cli.get(view.base + "debug/trace/captures", {"Sec-Fetch-Site": "cross-site"})
        assert status == 403


def what_is_not_there_is_an_error_in_json():
    with View(cli.capture_file()) as view:
        for path, expected in [("debug/trace/captures/2", 404), ("debug/trace/captures/01", 404), ("debug/trace/captures/1?format=native", 400),
                               ("debug/trace/captures/1?x=1", 400), ("debug/trace", 404), ("debug/trace/ui/../../etc/passwd", 404)]:
            status, _, body = cli.get(view.base + path)
            assert status == expected, (path, status)
            assert "error" in json.loads(body), path


def every_accepted_form_shows_the_same_document():
    native = cli.read(cli.capture_file())
    cli.run("convert", "two.trace").expect(0)
    document = cli.read("two.json")
    cli.write("two.trace.gz", cli.gzipped(native))
    cli.write("two.json.gz", cli.gzipped(document))
    cli.write("parts.json.gz", cli.gzipped(document[:100]) + cli.gzipped(document[100:]))
    for name in ["two.trace", "two.json", "two.trace.gz", "two.json.gz", "parts.json.gz"]:
        with View(name) as view:
            assert cli.get(view.base + "debug/trace/captures/1?format=json")[2] == document, name
    with open("two.trace", "rb") as file, View("-", stdin=file) as view:
        assert view.name == "standard input"
        assert cli.get(view.base + "debug/trace/captures/1?format=json")[2] == document


def the_document_stays_when_the_file_goes():
    cli.run("convert", cli.capture_file()).expect(0)
    with View("two.json") as view:
        os.unlink("two.json")
        assert view.json("debug/trace/captures/1?format=json".replace("?format=json", ""))["delivered"] == 17
        assert json.loads(cli.get(view.base + "debug/trace/captures/1?format=json")[2])["format"] == "tracetap"


def cut_files_are_shown_as_far_as_they_go():
    native = cli.read(cli.capture_file())
    cli.write("cut.trace", native[:-10])
    with View("cut.trace") as view:
        assert view.json("debug/trace/captures/1")["reason"] == "cut"
    cli.run("convert", "two.trace").expect(0)
    cli.write("cut.json", cli.read("two.json")[:-200])
    with View("cut.json") as view:
        info = view.json("debug/trace/captures/1")
        assert info["reason"] == "cut" and info["duration_ns"] == 10000
    cli.write("cut.json.gz", cli.gzipped(cli.read("two.json"))[:-12])
    with View("cut.json.gz", stderr=cli.subprocess.PIPE) as view:
        assert view.json("debug/trace/captures/1")["id"] == 1
        view.stop()
    cli.write("hurt.json.gz", cli.gzipped(cli.read("two.json"))[:30] + b"\xff" * 50)
    cli.run("view", "--no-open", "hurt.json.gz").expect(1, "hurt.json.gz", "gzip data is damaged")


def a_file_that_cannot_be_viewed_is_refused():
    for data, word in [(b"", "empty"), (b"hello", "begins with"), (b'{"a":1}', "though it is JSON"), (b"{}", "though it is JSON"),
                       (b'{"format":"tracetap"}', "though it is JSON"), (b'{"format":"tracetap","capture":7', "though it is JSON"),
                       (cli.gzipped(b"hello"), "though compressed with gzip"), (cli.gzipped(b""), "though compressed with gzip"),
                       (b"TRACETAP", "x: "), (b"\x28\xb5\x2f\xfd", "zstd")]:
        result = cli.run("view", "--no-open", cli.write("x", data)).expect(1, "x: ", word)
        assert result.out == b"", data
    cli.run("view", "--no-open", "missing").expect(1, "missing: No such file")


def no_file_is_left_in_the_temporary_folder():
    cli.capture_file()
    os.mkdir("tmp")
    with View("two.trace", env={**os.environ, "TMPDIR": os.path.abspath("tmp")}) as view:
        assert os.listdir("tmp") == []
        assert view.json("debug/trace/captures/1")["id"] == 1
    cli.run("view", "--no-open", "two.trace", env={"TMPDIR": "/no/such/folder"}).expect(1, "/no/such/folder: No such file", "TMPDIR")


def ctrl_c_is_the_good_end():
    for number in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]:
        with View(cli.capture_file()) as view:
            code, _ = view.stop(number)
            assert code == 0, (number, code)


def a_port_can_be_chosen_and_a_taken_one_is_named():
    with View(cli.capture_file()) as view:
        port = view.base.rstrip("/").rsplit(":", 1)[1]
        cli.run("view", "--no-open", "--port", port, "two.trace").expect(1, port)
    with View("--port", port, "two.trace") as again:
        assert again.base.endswith(f":{port}/")


def the_browser_is_told_the_address():
    cli.capture_file()
    os.mkdir("bin")
    with open("bin/xdg-open", "w", encoding="ascii") as file:
        file.write('#!/bin/sh\necho noise; echo "$1" >"$OPENED.part" && mv "$OPENED.part" "$OPENED"\n')
    os.chmod("bin/xdg-open", 0o755)
    env = {**os.environ, "PATH": os.path.abspath("bin") + ":" + os.environ["PATH"], "DISPLAY": ":99", "OPENED": os.path.abspath("opened")}
    with cli.Background("tracetap", "view", "two.trace", env=env) as view:
        url = view.line("two.trace: ")
        view.line("opening the browser")
        cli.wait_until(lambda: os.path.exists("opened"), "the browser to be started")
        assert cli.read("opened").decode().strip() == url
        code, rest = view.stop()
        assert code == 0 and rest == "", rest


if __name__ == "__main__":
    cli.main()
