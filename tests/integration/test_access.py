"""test_access.py - who may ask."""
import os
import socket
import tempfile

import service
from service import alone, with_options

TOKEN = "0123456789abcdefghijklmn"


def token_file(text=TOKEN, mode=0o600):
    with tempfile.NamedTemporaryFile("w", delete=False) as token:
        token.write(text)
    os.chmod(token.name, mode)
    return token.name


def a_page_elsewhere_can_start_nothing(s):
    path = "/debug/trace?seconds=5"
    s.get(path, Host="evil.example").expect_error(403, "forbidden")
    s.get(path, Host=f"evil.example:{s.port}").expect_error(403, "forbidden")
    for site in ("cross-site", "same-site", "bogus"):
        s.get(path, Sec_Fetch_Site=site).expect_error(403, "forbidden")
    s.get(path, Origin="http://evil.example").expect_error(403, "forbidden")
    s.post("/debug/trace/captures", {}, Origin="null").expect_error(403, "forbidden")
    s.put("/debug/trace/sampling", {}, Origin="http://localhost:1").expect(403)
    assert s.status()["captures_started"] == 0 and not s.gates


def the_own_page_and_tools_without_a_page_may_ask(s):
    for headers in ({}, {"Sec_Fetch_Site": "none"}, {"Sec_Fetch_Site": "same-origin", "Origin": f"http://127.0.0.1:{s.port}"},
                    {"Host": "localhost"}, {"Host": "localhost:9999"}, {"Host": "[::1]:6060"}):
        s.get("/debug/trace/status", **headers).expect(200)


@with_options("--host", "svc.internal")
def a_configured_host_name_is_accepted(s):
    s.get("/debug/trace/status", Host="svc.internal:8080").expect(200)
    s.get("/debug/trace/status", Host="other.internal").expect_error(403, "forbidden")


@alone
def a_token_is_asked_for_data_and_not_for_the_viewer():
    name = token_file()
    s = service.Service("--token-file", name)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"},
                    {"Authorization": f"Basic {TOKEN}"}):
        for path in ("/debug/trace/status", "/debug/trace?seconds=1", "/debug/trace/captures", "/debug/trace/sampling"):
            s.get(path, **headers).expect_error(401, "unauthorized")
    s.get("/debug/trace/status", Authorization=f"Bearer {TOKEN}").expect(200)
    s.get("/debug/trace/ui/").expect(200)
    s.end()
    os.unlink(name)


@alone
def a_token_file_must_be_private_and_long_enough():
    for text, mode, word in (("short", 0o600, "22"), (TOKEN, 0o644, "owner"), ("", 0o600, "22")):
        name = token_file(text, mode)
        s = service.Service("--token-file", name, expect_port=False)
        assert s.lines[0].startswith("error ") and word in s.lines[0], s.lines
        s.process.wait(20)
        os.unlink(name)


@alone
def a_unix_socket_serves_its_owner_too():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.sock")
        s = service.Service("--unix-path", path)
        assert os.stat(path).st_mode & 0o777 == 0o600
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        client.sendall(b"GET /debug/trace/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        client.close()
        s.end()


if __name__ == "__main__":
    service.main(__file__)
