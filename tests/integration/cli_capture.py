"""cli_capture.py - `tracetap capture` against the demo service, and against servers that misbehave."""
import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading

import cli_support as cli


# ---- A live service ----

def a_capture_of_a_live_service_is_whole_and_exact():
    with cli.Pipeline() as pipeline:
        result = cli.run("capture", pipeline.address, "--seconds", "1", "-o", "live.trace").expect(0, "events in", "live.trace",
                                                                                                "Next: tracetap view live.trace")
        assert result.out == b"" and "\r" not in result.err
        assert os.listdir(".") == ["live.trace"]
        figures = cli.stat("live.trace")
        assert figures["identity"] == "exact" and figures["truncated"] is False, figures["identity"]
        assert figures["capture"]["exe"] == "pipeline" and figures["capture"]["asked_ns"] == 1000000000
        assert figures["delivered"] > 100, figures["delivered"]
        names = {row["name"] for row in figures["threads"]}
        assert {"fetch-1", "transform-1", "enrich-1", "serialize-1", "pool-1"} <= names, names


def each_form_of_address_reaches_the_service():
    with cli.Pipeline("--no-load") as pipeline:
        port = pipeline.address.split(":")[1]
        for number, address in enumerate([f"localhost:{port}", f":{port}", port, pipeline.base, f"{pipeline.base}debug/trace",
                                          f"{pipeline.base}debug/trace?seconds=0.1"]):
            options = [] if "seconds" in address else ["--seconds", "0.1"]
            cli.run("capture", address, *options, "-o", f"{number}.trace").expect(0)
            assert cli.stat(f"{number}.trace")["capture"]["asked_ns"] == 100000000


def the_proposed_name_is_used_and_nothing_is_replaced():
    with cli.Pipeline("--no-load") as pipeline:
        for _ in range(3):
            cli.run("capture", pipeline.address, "-s", "0.05").expect(0)
    names = os.listdir(".")
    assert len(names) == 3, names
    assert all(re.fullmatch(r"pipeline-\d+-\d{8}T\d{6}Z(-\d)?\.ttap", name) for name in names), names


def options_reach_the_service():
    with cli.Pipeline() as pipeline:
        cli.run("capture", pipeline.address, "-s", "0.5", "--events=task", "--sample", "0", "-o", "none.trace").expect(0)
        figures = cli.stat("none.trace")
        assert figures["capture"]["sample"] == "0" and figures["capture"]["groups"] == 1, figures["capture"]
        assert figures["sampled_out"] > 0
        assert not any(row["delivered"] for row in figures["kinds"] if row["name"].startswith("region")), figures["kinds"]
        cli.run("capture", pipeline.address, "-s", "60", "--bytes", "8K", "-o", "short.trace").expect(0)
        assert cli.stat("short.trace")["reason"] == "bytes"


def a_capture_can_come_as_json():
    with cli.Pipeline() as pipeline:
        cli.run("capture", pipeline.address, "-s", "0.3", "--format", "json", "-o", "live.json").expect(0, "live.json")
        assert json.loads(cli.read("live.json"))["end"]["identity"] == "exact"
        out = cli.run("capture", pipeline.address, "-s", "0.3", "-f", "json", "-o", "-").expect(0).out
        assert json.loads(out)["format"] == "tracetap"


def standard_output_carries_the_capture_alone():
    with cli.Pipeline() as pipeline:
        result = cli.run("capture", pipeline.address, "-s", "0.3", "-o", "-").expect(0, "standard output")
        assert cli.stat(cli.write("piped.trace", result.out))["identity"] == "exact"


def the_progress_line_shows_only_on_a_terminal():
    with cli.Pipeline() as pipeline:
        code, shown = cli.on_terminal("capture", pipeline.address, "-s", "1", "-o", "live.trace")
        assert code == 0, shown
        assert re.search(r"\[#*\.*\] \d\.\d s left  [\d.]+ [KM]?i?B  [\d,]+ events  0 lost", shown), shown
        assert shown.rstrip().endswith("Next: tracetap view live.trace"), shown


def a_conversion_of_a_live_capture_agrees_with_its_figures():
    with cli.Pipeline() as pipeline:
        cli.run("capture", pipeline.address, "-s", "0.5", "-o", "live.trace").expect(0)
    cli.run("convert", "live.trace").expect(0)
    account = json.loads(cli.read("live.json"))["end"]["account"]
    figures = cli.stat("live.trace")
    assert account["events"] == figures["emitted"] and account["delivered"] == figures["delivered"], (account, figures)


def a_token_is_sent_from_its_file():
    token = "correct-horse-battery-staple"
    cli.write("token", token.encode() + b"\n")
    cli.write("wrong", b"some-other-token-of-enough-length\n")
    os.chmod("token", 0o600)
    with cli.Pipeline("--no-load", "--token-file", os.path.abspath("token")) as pipeline:
        cli.run("capture", pipeline.address, "-s", "0.1", "-o", "a.trace").expect(1, "the service answered 401")
        cli.run("capture", pipeline.address, "-s", "0.1", "-o", "a.trace", "--token-file", "wrong").expect(1, "answered 401")
        assert not os.path.exists("a.trace")
        cli.run("capture", pipeline.address, "-s", "0.1", "-o", "a.trace", "--token-file", "token").expect(0)


def a_token_that_cannot_stand_in_a_header_is_refused():
    for content in [b"", b"\n", b"a b\n", b"a\x01b", b"x" * 257, b"\xff\xfe"]:
        cli.run("capture", ":1", "--token-file", cli.write("token", content)).expect(1, "token: must hold a token of 1 to 256")
    cli.run("capture", ":1", "--token-file", "missing").expect(1, "missing: No such file")


# ---- Ending early ----

def start_long_capture(pipeline, name, *more):
    process = subprocess.Popen([cli.program("tracetap"), "capture", pipeline.address, "-s", "120", "-o", name, *more], stderr=subprocess.PIPE,
                               text=True)
    cli.wait_until(lambda: os.path.exists(name + ".part") and os.path.getsize(name + ".part") > 20000, "20 kB of capture")
    return process


def ctrl_c_keeps_a_readable_file():
    with cli.Pipeline() as pipeline:
        process = start_long_capture(pipeline, "early.trace")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=cli.TIMEOUT_S)
        assert process.returncode == 130, (process.returncode, err)
        assert "interrupted" in err and "early.trace (cut)" in err, err
        assert os.listdir(".") == ["early.trace"]
        figures = cli.stat("early.trace")
        assert figures["truncated"] is True and figures["delivered"] > 100, figures
        cli.wait_until(lambda: not json.loads(cli.get(pipeline.base + "debug/trace/status")[2])["recording"], "the service to stop recording")


def a_service_that_dies_leaves_a_readable_file():
    with cli.Pipeline() as pipeline:
        process = start_long_capture(pipeline, "dead.trace")
        pipeline.process.kill()
        _, err = process.communicate(timeout=cli.TIMEOUT_S)
        assert process.returncode == 1, (process.returncode, err)
        assert "the connection failed" in err and "kept what came" in err, err
        assert cli.stat("dead.trace")["truncated"] is True


def a_service_that_stops_ends_the_capture_whole():
    with cli.Pipeline() as pipeline:
        process = start_long_capture(pipeline, "stopped.trace")
        pipeline.stop()
        _, err = process.communicate(timeout=cli.TIMEOUT_S)
        assert process.returncode == 0, (process.returncode, err)
        figures = cli.stat("stopped.trace")
        assert figures["reason"] == "shutdown" and figures["identity"] == "exact", figures


# ---- Servers that misbehave ----

@contextlib.contextmanager
def server(answer):
    """answer(handler) replies to every GET."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.paths.append(self.path)
            answer(self)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.paths = []
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        try:
            yield httpd, f"127.0.0.1:{httpd.server_port}"
        finally:
            httpd.shutdown()


def reply(handler, status, body, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def errors_are_shown_in_the_servers_words():
    body = json.dumps({"error": {"code": "bad_parameter", "message": "seconds=9: \033[2Jno", "hint": "try less"}}).encode()
    with server(lambda h: reply(h, 400, body)) as (httpd, address):
        result = cli.run("capture", address, "-s", "9").expect(1, "the service answered 400: seconds=9: \\x1b[2Jno", "hint: try less")
        assert "\033" not in result.err
        assert httpd.paths == ["/debug/trace?seconds=9"]
    assert os.listdir(".") == []


def an_answer_from_something_else_is_named():
    with server(lambda h: reply(h, 404, b"<h1>nothing here</h1>\nmore")) as (_, address):
        cli.run("capture", address).expect(1, "answered 404: <h1>nothing here</h1>", "is it a tracetap endpoint?")
    with server(lambda h: reply(h, 500, b"")) as (_, address):
        cli.run("capture", address).expect(1, "answered 500")
    with server(lambda h: reply(h, 500, b"x" * 300000)) as (_, address):
        cli.run("capture", address).expect(1, "answered 500")
    with server(lambda h: reply(h, 302, b"", Location="http://127.0.0.1:1/")) as (_, address):
        cli.run("capture", address).expect(1, "answered 302")  # a token must not follow
    with server(lambda h: reply(h, 200, b"")) as (_, address):
        cli.run("capture", address).expect(1, "sent nothing")
    assert os.listdir(".") == []


def a_servers_file_name_cannot_leave_the_folder():
    os.mkdir("here")
    os.chdir("here")
    with server(lambda h: reply(h, 200, b"TRACETAP", Content_Disposition='attachment; filename="../../evil\033.trace"')) as (_, address):
        cli.run("capture", address).expect(0)
    assert os.listdir(".") == ["evil_.trace"] and os.listdir("..") == ["here"]
    os.chdir("..")


def a_connection_that_breaks_keeps_what_came():
    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"TRACETAP")

    with server(half) as (_, address):
        cli.run("capture", address, "-o", "half").expect(1, "the connection failed", "kept what came")
    assert cli.read("half") == b"TRACETAP"


def nobody_listening_is_a_plain_message():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        cli.run("capture", address).expect(1, f"http://{address}/debug/trace?seconds=5: ")
    cli.run("capture", "host.invalid:1").expect(1, "host.invalid")


def a_proxy_is_not_asked_about_loopback():
    with server(lambda h: reply(h, 200, b"TRACETAP")) as (httpd, address):
        cli.run("capture", address, "-o", "x", env={"http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"}).expect(0)
        assert httpd.paths == ["/debug/trace?seconds=5"]


def a_unix_socket_needs_no_address():
    body = b"TRACETAP" + bytes([1, 0, 0, 0, 0, 0, 0, 0])
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("here.sock")
    listener.listen()

    def serve():
        connection, _ = listener.accept()
        request = connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        connection.close()
        requests.append(request)

    requests = []
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    cli.run("capture", "--unix", "here.sock", "-o", "x").expect(0)
    thread.join(cli.TIMEOUT_S)
    assert requests[0].startswith(b"GET /debug/trace?seconds=5 HTTP/1.1\r\nHost: localhost\r\n"), requests
    assert cli.read("x") == body
    cli.run("capture", "--unix", "missing.sock").expect(1, "unix socket missing.sock: No such file")


def an_output_that_cannot_be_written_ends_the_capture():
    with server(lambda h: reply(h, 200, b"TRACETAP" * 1000)) as (_, address):
        cli.run("capture", address, "-o", cli.full_device()).expect(1, "full: No space left")
        cli.run("capture", address, "-o", "no/such").expect(1, "no/such: No such file")
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([cli.program("tracetap"), "capture", address, "-o", "-"], stdout=writer, stderr=subprocess.PIPE, timeout=cli.TIMEOUT_S)
        os.close(writer)
        assert done.returncode == 1 and b"Broken pipe" in done.stderr, done
    assert os.listdir(".") == ["full"] and os.path.islink("full")


def a_pipe_is_written_in_place():
    os.mkfifo("pipe")
    got = []
    thread = threading.Thread(target=lambda: got.append(cli.read("pipe")), daemon=True)
    thread.start()
    with server(lambda h: reply(h, 200, b"TRACETAP")) as (_, address):
        cli.run("capture", address, "-o", "pipe").expect(0)
    thread.join(cli.TIMEOUT_S)
    assert got == [b"TRACETAP"]
    assert os.listdir(".") == ["pipe"]


if __name__ == "__main__":
    cli.main()
