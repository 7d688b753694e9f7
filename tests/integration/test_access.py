"""test_access.py - who may ask."""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

import service
from service import Skip, alone, with_options

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


def other_user():
    """Words before a command that is to be run as another user."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        raise Skip("only root can be another user")
    return ["setpriv", "--reuid=64998", "--regid=64998", "--clear-groups", "--"]


ASK_UNIX = """
import socket, sys
client = socket.socket(socket.AF_UNIX)
try:
    client.connect(sys.argv[1])
except PermissionError:
    sys.exit("not let in")
client.sendall(b"GET /debug/trace?seconds=5 HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
print(client.recv(4096).split(b"\\r\\n")[0].decode())
"""


@alone
def another_user_is_refused_at_the_unix_socket_whatever_its_mode():
    words = other_user()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "trace.sock")
        s = service.Service("--unix-path", path)

        def ask(*before):
            return subprocess.run([*before, sys.executable if not before else "/usr/bin/python3", "-c", ASK_UNIX, path], capture_output=True, text=True)
        if ask(*words).returncode not in (0, 1) or not os.path.exists("/usr/bin/python3"):
            raise Skip("another user cannot run python here")
        assert "not let in" in ask(*words).stderr
        os.chmod(path, 0o666)  # by mistake, or by somebody's clean-up
        refused = ask(*words)
        assert refused.stdout.startswith("HTTP/1.1 403"), refused
        assert s.status()["captures_started"] == 0 and not s.gates
        assert ask().stdout.startswith("HTTP/1.1 200")  # its own user
        s.end()


@alone
def a_token_file_that_changes_counts_from_the_next_start_on():
    name = token_file()
    s = service.Service("--token-file", name)
    other = TOKEN[::-1]
    with open(name, "w") as file:
        file.write(other)
    s.get("/debug/trace/status", Authorization=f"Bearer {TOKEN}").expect(200)
    s.get("/debug/trace/status", Authorization=f"Bearer {other}").expect_error(401, "unauthorized")
    os.chmod(name, 0o644)
    s.get("/debug/trace/status", Authorization=f"Bearer {TOKEN}").expect(200)
    os.unlink(name)
    s.get("/debug/trace/status", Authorization=f"Bearer {TOKEN}").expect(200)
    s.end()
    name = token_file(other)
    s = service.Service("--token-file", name)
    s.get("/debug/trace/status", Authorization=f"Bearer {TOKEN}").expect_error(401, "unauthorized")
    s.get("/debug/trace/status", Authorization=f"Bearer {other}").expect(200)
    s.end()
    os.unlink(name)


@alone
def no_answer_holds_the_token_the_environment_or_the_arguments():
    name = token_file()
    canary = "canary-8f1c2e77"
    os.environ["TTAP_TEST_SECRET"] = canary
    s = service.Service("--token-file", name, "--host", canary)
    del os.environ["TTAP_TEST_SECRET"]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    info = s.post("/debug/trace/captures", {"seconds": 0.2}, **headers).expect(202).json()
    service.wait_until(lambda: s.get(info["url"], **headers).json()["state"] == "ended", "the kept capture")
    seen = [answer.body + str(answer.headers).encode() for answer in (
        s.get(path, **headers) for path in ("/debug/trace/status", "/debug/trace/sampling", "/debug/trace/captures", info["url"], info["url"] + "?format=native",
                                            info["url"] + "?format=json", "/debug/trace?seconds=0.1", "/debug/trace?seconds=0.1&format=json",
                                            "/debug/trace/ui/", "/nothing", "/debug/trace?seconds=x"))]
    seen.append(s.get("/debug/trace/status", Host="evil.example").body)
    seen.append(s.get("/debug/trace/status", Authorization=f"Bearer {TOKEN}x").body)
    seen.append("\n".join(s.lines).encode())
    assert sum(map(len, seen)) > 20_000
    for secret in (TOKEN, canary, name):
        assert not any(secret.encode() in body for body in seen), secret
    s.end()
    os.unlink(name)


def parameters_given_twice_unknown_or_disguised_are_refused_everywhere(s):
    info = s.keep()
    for path in ("/debug/trace?seconds=0.1&seconds=0.1", "/debug/trace?seconds=0.1&%73econds=0.1", "/debug/trace?seconds=0.1&Seconds=0.1", "/debug/trace?seconds=0.1;format=json",
                 "/debug/trace?seconds[]=0.1", "/debug/trace?seconds=0.1&", "/debug/trace?&seconds=0.1", "/debug/trace?seconds=0.1&x", "/debug/trace?seconds=0.1&=1",
                 "/debug/trace?token=x", "/debug/trace/status?x=1", "/debug/trace/captures?format=native", "/debug/trace/sampling?default=0",
                 info["url"] + "?format=native&format=json", info["url"] + "?format=native&seconds=1", "/debug/trace/ui/?x=1"):
        assert s.get(path).status == 400, path
    s.ask("POST", info["url"] + "/stop?x=1").expect(400)
    s.ask("DELETE", info["url"] + "?force=1").expect(400)
    s.send_json("PUT", "/debug/trace/sampling?default=1", {"default": 0}).expect(400)
    assert s.status()["captures_started"] == 1 and s.get("/debug/trace/sampling").json()["default"] == 1


if __name__ == "__main__":
    service.main(__file__)
