"""The books over HTTP and on the console: who may edit, what is taken, what is refused."""

import json
from collections.abc import Iterator

import pytest

from server.jobs.schedule import Schedule
from tests.server.running import FixedClock, Running, running_server
from tests.server.small_site import at

NOW = at("2026-04-03T00:00")
HOUR = 3_600_000
START = at("2026-03-05T08:00")
BILL = {
    "kind": "bill", "meter": "E01", "start_ms": START, "end_ms": START + HOUR, "quantity": "5.5",
    "reason": "补录", "author": "王",
}  # fmt: skip
READING = {"kind": "reading", "quantity": None}
CURVE = {"kind": "curve", "quantity": None}
FORM = (
    "kind=bill&meter=E01&start=2026-03-05T08:00&end=2026-03-05T09:00&quantity=5&reason=r&author=a"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("open"), FixedClock(NOW)) as it:
        yield it


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "console").write_text("secret")
    with running_server(folder, FixedClock(NOW), console_token_file="./console") as it:
        yield it


def post_form(it: Running, body: str, **headers: str) -> tuple[int, str]:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = it.http.post("/books", content=body, headers=kind | headers)
    return answer.status_code, answer.text


def test_a_repair_is_entered_shown_and_undone(server: Running) -> None:
    number = server.http.post("/api/v1/repairs", json=BILL).json()["id"]
    assert "补录" in server.http.get("/books").text
    Schedule(server.works, FixedClock(NOW)).roll_up()
    span = f"from={START}&to={START + HOUR}"
    r = server.http.get(f"/api/v1/rollups?meter=E01&step=1h&{span}").json()
    assert r["values"] == [5.5]
    signed = {"reason": "误录", "author": "李"}
    assert server.http.post(f"/api/v1/repairs/{number}/undo", json=signed).status_code == 200
    assert server.http.post(f"/api/v1/repairs/{number}/undo", json=signed).status_code == 404
    Schedule(server.works, FixedClock(NOW)).roll_up()
    r = server.http.get(f"/api/v1/rollups?meter=E01&step=1h&{span}").json()
    assert r["values"] == [None]
    changes = server.http.get("/api/v1/changes").json()
    assert changes[0]["before"] == 5.5
    assert changes[0]["after"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"meter": "E99"}, "E99"),
        ({"end_ms": START}, "end_ms"),
        ({"quantity": None}, "expected quantity"),
        ({"quantity": "-1"}, "quantity"),
        ({"reason": ""}, "reason"),
        ({"kind": "magic"}, "kind"),
        ({"readings": [[1, 2.0]]}, "expected quantity"),
        ({"surprise": 1}, "surprise"),
        ({"quantity": "1" + "0" * 30}, "quantity"),
        ({"end_ms": NOW + 2 * HOUR, "start_ms": NOW}, "a span that is over"),
        ({"start_ms": 2**60, "end_ms": 2**60 + HOUR}, "a span that is over"),
        (READING | {"readings": [[START, -1.0]]}, "readings"),
        (READING | {"readings": [[START - 1, 1.0]]}, "within the span"),
        (CURVE | {"intervals": [[START, START + HOUR, "abc"]]}, "intervals"),
        (CURVE | {"intervals": [[START + 9, START, "1"]]}, "one after the other"),
        (CURVE | {"intervals": [[START, START + 9, "1"], [START, START + 9, "1"]]}, "other"),
    ],
)
def test_a_wrong_repair_is_refused_with_the_reason(
    server: Running, change: dict[str, object], said: str
) -> None:
    before = len(server.works.state.books.repairs(standing=False))
    answer = server.http.post("/api/v1/repairs", json=BILL | change)
    assert answer.status_code == 422
    assert said in answer.text
    assert len(server.works.state.books.repairs(standing=False)) == before


def test_numbers_that_are_none_do_not_get_into_the_books(server: Running) -> None:
    for word in ("NaN", "Infinity"):
        body = json.dumps(BILL | READING | {"readings": [[START, 7.25]]}).replace("7.25", word)
        answer = server.http.post(
            "/api/v1/repairs", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422
    Schedule(server.works, FixedClock(NOW)).roll_up()


def test_a_doubtful_bill_is_taken_only_when_accepted(server: Running) -> None:
    dear = BILL | {"yuan": "5500"}
    answer = server.http.post("/api/v1/repairs", json=dear)
    assert answer.status_code == 409
    assert "单价 1000" in answer.text
    taken = server.http.post("/api/v1/repairs", json=dear | {"accept": True})
    assert taken.status_code == 201
    signed = {"reason": "误录", "author": "李"}
    server.http.post(f"/api/v1/repairs/{taken.json()['id']}/undo", json=signed)


@pytest.mark.parametrize("path", ["changes", "periods", "corrections", "repairs"])
def test_the_books_are_read_over_http(server: Running, path: str) -> None:
    assert server.http.get(f"/api/v1/{path}").status_code == 200


def test_balance_events_and_closing_over_http(server: Running) -> None:
    assert server.http.get("/api/v1/balance?from=0&to=1").status_code == 200
    assert server.http.get("/api/v1/balance?from=5&to=1").status_code == 422
    assert server.http.get("/api/v1/events?from=0&to=1").status_code == 200
    signed = {"reason": "月结", "author": "王"}
    assert server.http.post("/api/v1/periods/2099-01/close", json=signed).status_code == 409
    assert server.http.post("/api/v1/periods/March/close", json=signed).status_code == 422


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "请填写经办人和原因"),
        ("reason=r&author=a", "不认识的类别"),
        ("reason=r&author=a&kind=bill&meter=E99", "没有这块表"),
        ("reason=r&author=a&kind=bill&meter=E01&start=gestern", "开始时刻"),
        (FORM.replace("end=2026-03-05T09", "end=2026-03-05T07"), "晚于开始"),
        (FORM.replace("quantity=5", "quantity=viel"), "数量应为"),
        (FORM.replace("quantity=5", "quantity=5&yuan=500"), "单价"),
        ("reason=r&author=a&undo=77", "没有可撤销"),
    ],
)
def test_a_wrong_form_is_told_in_plain_words(server: Running, body: str, said: str) -> None:
    status, text = post_form(server, body)
    assert status == 422
    assert said in text


def test_a_form_is_taken_and_the_name_is_kept(server: Running) -> None:
    status, text = post_form(server, FORM)
    assert status == 200
    assert "已登记" in text
    assert server.works.state.books.audit_rows()[0].who == "a"


def test_what_a_user_typed_is_shown_as_text(server: Running) -> None:
    post_form(server, FORM.replace("reason=r", "reason=%3Cscript%3Ealert(1)%3C/script%3E"))
    page = server.http.get("/books").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_page_of_another_site_cannot_submit(server: Running) -> None:
    assert post_form(server, FORM, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert post_form(server, FORM, Origin="http://evil.example")[0] == 403


def test_editing_needs_the_consoles_token_not_an_agents(guarded: Running) -> None:
    assert guarded.http.post("/api/v1/repairs", json=BILL).status_code == 401
    agent = {"Authorization": "Token right-token"}
    assert guarded.http.get("/api/v1/repairs", headers=agent).status_code == 200
    assert guarded.http.post("/api/v1/repairs", json=BILL, headers=agent).status_code == 403
    mine = {"Authorization": "Token secret"}
    assert guarded.http.post("/api/v1/repairs", json=BILL, headers=mine).status_code == 201
    answer = guarded.http.post("/books", content=FORM, auth=("王", "secret"))
    assert answer.status_code == 200
