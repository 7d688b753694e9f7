"""test_viewer.py - the viewer's files."""
import service


def the_front_door_leads_to_the_viewer(s):
    answer = s.get("/").expect(302)
    assert answer.headers["Location"] in ("debug/trace/ui/", "/debug/trace/ui/"), answer.headers["Location"]
    page = s.get("/debug/trace/ui/").expect(200)
    assert page.headers["Content-Type"].startswith(("text/html", "text/plain"))
    if page.headers["Content-Type"].startswith("text/plain"):
        assert b"curl" in page.body, page.body
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def a_viewer_file_that_does_not_exist_is_404(s):
    for path in ("nothing.js", "../status", "..%2fstatus", "%2e%2e/status", ".//index.html", "index.html/"):
        s.get(f"/debug/trace/ui/{path}").expect(404)
    s.get("/debug/trace/ui/%00").expect_error(400, "bad_request")
    s.ask("POST", "/debug/trace/ui/", "{}", {"Content-Type": "application/json"}).expect_error(405, "method_not_allowed")


if __name__ == "__main__":
    service.main(__file__)
