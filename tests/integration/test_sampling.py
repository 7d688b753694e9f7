"""test_sampling.py - GET, PUT /debug/trace/sampling."""
import service
from service import reader

SAMPLING = "/debug/trace/sampling"


def everything_is_kept_until_somebody_says_otherwise(s):
    answer = s.get(SAMPLING).expect(200)
    assert answer.json() == {"default": 1, "kinds": {}} and answer.headers["ETag"]


def a_setting_is_applied_as_a_whole_and_shown(s):
    setting = {"default": 0.01, "kinds": {"checkout": 1, "a=b": 0.25, "käse": 0}}
    answer = s.put(SAMPLING, setting).expect(200)
    assert answer.json() == setting == s.get(SAMPLING).json() == s.status()["sampling"]
    assert s.put(SAMPLING, {}).json() == {"default": 1, "kinds": {}}
    assert s.put(SAMPLING, {"default": 0.123456789}).json()["default"] == 0.123456789
    assert s.put(SAMPLING, {"default": 1e-300}).json()["default"] == 0


def captures_that_do_not_say_otherwise_use_the_setting(s):
    s.put(SAMPLING, {"default": 0}).expect(200)
    capture = reader.Capture(s.get("/debug/trace?seconds=0.2").expect(200).body)
    assert capture.header.sample == "0" and capture.trailer["sampled_out"] > 50, capture.trailer
    assert reader.Capture(s.get("/debug/trace?seconds=0.2&sample=1").expect(200).body).trailer["sampled_out"] == 0


def a_wrong_setting_is_named_and_changes_nothing(s):
    before = s.put(SAMPLING, {"default": 0.5, "kinds": {"checkout": 1}}).expect(200).json()
    many = {f"kind{i}": 1 for i in range(65)}
    long = {f"{i}" + "x" * 500: 1 for i in range(20)}
    for body, words in [({"default": 2}, ["default", "0 to 1"]), ({"default": "1"}, ["default"]), ({"default": True}, ["default"]),
                        ({"default": -0.1}, ["default"]), ({"kinds": []}, ["kinds"]), ({"kinds": {"checkout": 1.01}}, ["kinds.checkout", "0 to 1"]),
                        ({"kinds": {"checkout": "1"}}, ["kinds.checkout"]), ({"kinds": {"": 1}}, ["kinds", "1 to 512"]),
                        ({"kinds": {"a,b": 1}}, ["kinds", "comma"]), ({"kinds": {"x" * 513: 1}}, ["512"]), ({"kinds": many}, ["64"]),
                        ({"kinds": long}, ["8191"]), ({"rate": 1}, ["rate", "default"]), ('{"default":1,"default":0}', ["duplicate"]),
                        ("", ["empty"]), ("null", ["object"]), ('{"kinds":' + '{"a":' * 100 + "1" + "}" * 101, ["deeper"])]:
        s.put(SAMPLING, body).expect_error(400, "bad_body", *words)
        assert s.get(SAMPLING).json() == before, body
    s.put(SAMPLING, '{"default":' + " " * 70000 + "1}").expect_error(413, "too_large")
    s.ask("PUT", SAMPLING, "{}", {"Content-Type": "text/json"}).expect_error(415, "unsupported_media_type")
    s.ask("POST", SAMPLING, "{}", {"Content-Type": "application/json"}).expect_error(405, "method_not_allowed")
    assert s.get(SAMPLING).json() == before


def all_that_is_wrong_with_a_setting_is_named_with_what_is_allowed(s):
    before = s.get(SAMPLING).json()
    wrong = {"default": 2, "kinds": {"checkout": -1, "browse": 0.5, "a,b": 1}, "limit": 0, "limits": {"checkout": 1.5, "browse": 1000001}}
    s.put(SAMPLING, wrong).expect_error(400, "bad_body", "default: a number from 0 to 1", "kinds.checkout: a number from 0 to 1", "kinds: the name \"a,b\"",
                                        "limit: a whole number from 1 to 1000000", "limits.checkout: a whole number", "limits.browse: a whole number")
    s.put(SAMPLING, {"kinds": {f"kind-number-{i}": 2 for i in range(60)}}).expect_error(400, "bad_body", "kinds.kind-number-0:", " more")
    for body, words in [({"limit": "5"}, ["limit:"]), ({"limit": -1}, ["limit:"]), ({"limits": []}, ["limits:", "64"]), ({"limits": {"": 1}}, ["limits:"]),
                        ({"kinds": {f"a{i}": 1 for i in range(40)}, "limits": {f"b{i}": 1 for i in range(40)}}, ["64", "together"])]:
        s.put(SAMPLING, body).expect_error(400, "bad_body", *words)
    assert s.get(SAMPLING).json() == before


def a_limit_holds_for_running_captures_and_is_shown(s):
    setting = {"default": 1, "kinds": {"checkout": 0.5}, "limit": 20, "limits": {"checkout": 5}}
    capture = service.Background(lambda: s.get("/debug/trace?seconds=2&events=task").expect(200))
    service.wait_until(s.is_recording, "the capture")
    assert s.put(SAMPLING, setting).expect(200).json() == setting == s.get(SAMPLING).json() == s.status()["sampling"]
    assert s.put(SAMPLING, {"limits": {"new": 7}}).json() == {"default": 1, "kinds": {"new": 1}, "limits": {"new": 7}}
    capture.result()
    s.put(SAMPLING, {"limit": 10}).expect(200)
    trailer = reader.Capture(s.get("/debug/trace?seconds=0.5").expect(200).body).trailer
    assert trailer["sampled_out"] > 50, trailer
    s.get("/debug/trace?seconds=0.1&sample=1/5").expect_error(400, "bad_parameter", "sample")
    assert s.put(SAMPLING, {}).expect(200).json() == {"default": 1, "kinds": {}}


def who_was_slower_is_told_so(s):
    tag = s.get(SAMPLING).headers["ETag"]
    changed = s.put(SAMPLING, {"default": 0.5}, If_Match=tag).expect(200)
    assert changed.headers["ETag"] != tag
    s.put(SAMPLING, {"default": 0.7}, If_Match=tag).expect_error(412, "changed")
    assert s.get(SAMPLING).json()["default"] == 0.5
    s.put(SAMPLING, {"default": 0.8}, If_Match=f'"other", {changed.headers["ETag"]}').expect(200)
    s.put(SAMPLING, {"default": 0.9}, If_Match="*").expect(200)
    assert s.get(SAMPLING).json()["default"] == 0.9


def a_capture_that_records_keeps_the_rates_it_had(s):
    capture = service.Background(lambda: s.get("/debug/trace?seconds=1"))
    service.wait_until(s.is_recording, "the capture")
    s.put(SAMPLING, {"default": 0}).expect(200)
    assert reader.Capture(capture.result().expect(200).body).trailer["sampled_out"] == 0


if __name__ == "__main__":
    service.main(__file__)
