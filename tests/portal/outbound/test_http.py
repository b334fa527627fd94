import gzip
import threading
import time

import pytest
import stamina

from portal.outbound import http
from portal.outbound.credentials import Secret, checked_token, github_auth, railway_token
from portal.outbound.http import ApiError
from portal.outbound.parsing import Malformed, commit, field, lines, link, moment, optional, text
from portal.sandbox.server import Fault, Response, Server


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture
def server():
    server = Server(lambda request: Response(200, {"path": request.path})).start()
    yield server
    server.stop()


def read(server: Server, **options) -> http.Reply:
    return http.send("GitHub", "GET", f"{server.url}/x", write=False, **options)


def write(server: Server, **options) -> http.Reply:
    return http.send("GitHub", "POST", f"{server.url}/x", write=True, **options)


def test_it_answers_with_status_and_whole_body_and_counts_the_call(server):
    before = http.calls["GitHub"]

    reply = read(server)

    assert (reply.status, reply.json()) == (200, {"path": "/x"})
    assert http.calls["GitHub"] == before + 1


def test_it_sends_its_own_name(server):
    seen = {}
    server.app = lambda request: seen.update(request.headers) or Response(200, {})

    read(server)

    assert seen["user-agent"].startswith("release-portal")


@pytest.mark.parametrize(("call", "kind"), [(read, "unavailable"), (write, "unknown_outcome")])
def test_a_lost_answer_is_unavailable_for_a_read_and_unknown_for_a_write(server, call, kind):
    server.faults.append(Fault("drop"))

    with pytest.raises(ApiError) as caught:
        call(server)

    assert caught.value.kind == kind


@pytest.mark.parametrize(("call", "kind"), [(read, "unavailable"), (write, "unknown_outcome")])
def test_silence_ends_after_the_time_limit(server, call, kind):
    server.faults.append(Fault("latency", seconds=1.0))
    started = time.monotonic()

    with pytest.raises(ApiError) as caught:
        call(server, read_seconds=0.1)

    assert caught.value.kind == kind
    assert time.monotonic() - started < 0.9


@pytest.mark.parametrize("call", [read, write])
def test_a_closed_port_means_that_nothing_happened_even_for_a_write(call):
    server = Server(lambda request: Response()).start()
    server.stop()

    with pytest.raises(ApiError) as caught:
        call(server)

    assert caught.value.kind == "unavailable"


def test_an_answer_beyond_the_limit_is_not_swallowed(server):
    server.app = lambda request: Response(200, b"x" * 5000)

    with pytest.raises(ApiError) as caught:
        read(server, limit=4000)

    assert caught.value.kind == "malformed"


def test_the_limit_holds_for_what_is_unpacked_too(server):
    server.app = lambda request: Response(
        200, gzip.compress(b"x" * 500_000), {"Content-Encoding": "gzip"}
    )

    with pytest.raises(ApiError) as caught:
        read(server, limit=100_000)

    assert caught.value.kind == "malformed"


def test_what_cannot_be_unpacked_is_malformed(server):
    server.app = lambda request: Response(200, b"no gzip", {"Content-Encoding": "gzip"})

    with pytest.raises(ApiError) as caught:
        read(server)

    assert caught.value.kind == "malformed"


def test_a_redirect_is_not_followed_so_no_token_leaves(server):
    other = Server(lambda request: Response(200, {})).start()
    server.app = lambda request: Response(302, b"", {"Location": f"{other.url}/steal"})

    reply = read(server, headers={"Authorization": "Bearer secret"})

    other.stop()
    assert reply.status == 302
    assert other.requests == []


def test_threads_share_the_client_without_losing_a_count(server):
    before = http.calls["GitHub"]
    threads = [threading.Thread(target=lambda: [read(server) for _ in range(5)]) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert http.calls["GitHub"] == before + 20


def failing(error: ApiError, times: int):
    tries = []

    def call() -> int:
        tries.append(1)
        if len(tries) <= times:
            raise error
        return len(tries)

    return call, tries


@pytest.mark.parametrize("kind", ["unavailable", "malformed"])
def test_a_read_is_tried_three_times_and_no_more(kind):
    call, tries = failing(ApiError("GitHub", kind, "…"), times=9)

    with pytest.raises(ApiError):
        http.read_again(call)

    assert len(tries) == 3


@pytest.mark.parametrize(
    "kind",
    [
        "unauthorized",
        "forbidden",
        "not_found",
        "refused",
        "conflict",
        "outdated",
        "unknown_outcome",
    ],
)
def test_an_error_that_will_not_pass_is_raised_at_once(kind):
    call, tries = failing(ApiError("GitHub", kind, "…"), times=9)

    with pytest.raises(ApiError):
        http.read_again(call)

    assert len(tries) == 1


@pytest.mark.parametrize(("seconds", "tries_made"), [(2.0, 2), (3600.0, 1), (None, 1)])
def test_a_rate_limit_is_waited_for_only_when_it_is_short(seconds, tries_made):
    call, tries = failing(ApiError("GitHub", "rate_limited", "…", retry_after=seconds), times=1)

    if tries_made == 1:
        with pytest.raises(ApiError):
            http.read_again(call)
    else:
        assert http.read_again(call) == 2

    assert len(tries) == tries_made


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("-5", None),
        ("", None),
        ("soon", None),
        ("nan", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value, seconds):
    found = http.retry_after({"retry-after": value}, now=100.0)

    assert found == seconds


@pytest.mark.parametrize(
    "url",
    [
        "http://api.github.com",
        "ftp://x",
        "api.github.com",
        "https://user:x@host",
        "http://10.0.0.1",
        "",
        "http://[",
    ],
)
def test_a_token_is_not_sent_in_clear_text_or_to_a_strange_address(url):
    with pytest.raises(ApiError) as caught:
        http.checked_url(url, "GITHUB_API_URL", "GitHub")

    assert "GITHUB_API_URL" in caught.value.sentence


@pytest.mark.parametrize(
    "url", ["https://api.github.com/", "http://127.0.0.1:9", "http://localhost", "http://[::1]:8"]
)
def test_https_and_this_machine_are_fine(url):
    assert http.checked_url(url, "GITHUB_API_URL", "GitHub") == url.rstrip("/")


# What is read


def test_text_from_outside_is_one_bounded_line_in_which_all_is_seen():
    assert (
        text("a\x00b\n<script>\u202ec\ud800d" + "x" * 999, 45)
        == "a⟨U+0000⟩b <script>⟨U+202E⟩c⟨U+D800⟩dxxxxxxxx"
    )
    assert text(None) == text(7) == text({"a": 1}) == ""
    assert lines("a\r\nb\x1b[2J") == "a\nb⟨U+001B⟩[2J"


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "//x",
        "http://",
        "https://a b",
        7,
        None,
        "https://[",
        "data:x",
        "x" * 3000,
    ],
)
def test_only_web_addresses_are_links(value):
    assert link(value) == ""


def test_a_web_address_is_kept():
    assert link("https://github.com/acme/x/pull/1") == "https://github.com/acme/x/pull/1"


@pytest.mark.parametrize(
    "value", [None, 5, "", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_none(value):
    assert moment(value) is None


def test_a_time_is_aware():
    assert moment("2026-11-22T10:00:00Z").isoformat() == "2026-11-22T10:00:00+00:00"


def test_a_commit_is_forty_or_sixty_four_digits():
    assert commit("A" * 40) == "a" * 40
    assert commit("b" * 64) == "b" * 64
    assert commit("a" * 39) is commit("g" * 40) is commit(None) is commit("a" * 40 + "\n") is None


def test_fields_hold_what_was_asked_for_or_say_which_does_not():
    assert field({"n": 1}, "n", int) == 1
    assert optional({"n": None}, "n", int) is optional({}, "n", int) is None
    for data in [{}, {"n": None}, {"n": "1"}, {"n": True}, [], None]:
        with pytest.raises(Malformed, match="n is missing or not int"):
            field(data, "n", int)
    with pytest.raises(Malformed):
        optional({"n": "1"}, "n", int)


# Credentials


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        ("ghp_abc\n", "ends with a line break"),
        ("ghp_abc ", "ends with a space"),
        (" ghp_abc", "begins with a space"),
        ("ghp_a bc", "inside"),
        ("'ghp_abc'", "quotation"),
        ("   ", "all spaces"),
        ("ghp_äbc", "letter"),
        ("Bearer ghp_abc", "inside"),
    ],
)
def test_a_token_with_a_fault_is_refused_by_name_and_never_shown(token, fault):
    with pytest.raises(ApiError) as caught:
        checked_token(token, "GITHUB_TOKEN", "GitHub")

    sentence = caught.value.sentence
    assert caught.value.kind == "unauthorized"
    assert (
        "GITHUB_TOKEN" in sentence and fault in sentence and f"{len(token)} characters" in sentence
    )
    assert token.strip() == "" or token.strip() not in sentence


def test_the_kind_of_a_faulty_token_is_named():
    with pytest.raises(ApiError, match="fine-grained token of 19 characters"):
        checked_token("github_pat_1234567 ", "GITHUB_TOKEN", "GitHub")


def test_without_a_credential_it_says_what_to_set(settings):
    settings.GITHUB_TOKEN = settings.GITHUB_APP_ID = settings.RAILWAY_API_TOKEN = (
        settings.RAILWAY_TOKEN
    ) = ""

    with pytest.raises(ApiError, match="set GITHUB_TOKEN"):
        github_auth("https://api.github.com")
    with pytest.raises(ApiError, match="set RAILWAY_API_TOKEN"):
        railway_token()


@pytest.mark.parametrize(
    ("app_id", "key"), [("abc", "-----BEGIN RSA PRIVATE KEY-----"), ("1", "nonsense")]
)
def test_an_app_that_is_set_up_wrongly_is_named(settings, app_id, key):
    settings.GITHUB_TOKEN = ""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = app_id, key
    settings.GITHUB_APP_INSTALLATION_ID = "2"

    with pytest.raises(ApiError, match="GITHUB_APP_"):
        github_auth("https://api.github.com")


def test_the_legacy_railway_token_is_a_project_token(settings):
    settings.RAILWAY_API_TOKEN, settings.RAILWAY_TOKEN = "", "legacy"
    legacy = railway_token()
    settings.RAILWAY_API_TOKEN = "new"

    assert legacy == ("legacy", "project")
    assert railway_token() == ("new", "bearer")


def test_a_secret_shows_itself_nowhere():
    secret = Secret("hunter2")

    shown = f"{secret} {secret!r} {[secret]} { ({'a': secret}) }"

    assert "hunter2" not in shown
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2") and secret != Secret("other")


def test_a_secret_cannot_travel_in_task_arguments():
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(Secret("hunter2"))
