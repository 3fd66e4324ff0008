"""`guardrail ask`: what is printed where, what is refused before a model loads, and how it ends."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from guardrail.cli import ask as command
from guardrail.cli import main
from guardrail.cli.ask_request import ask_request
from guardrail.cli.ask_view import show
from guardrail.cli.bar import probability_bar
from guardrail.cli.plain_text import visible
from guardrail.errors import Escalation
from guardrail.policy import load_policy
from guardrail.record.decision import (
    Candidate,
    ContrastRecord,
    Outcome,
    StepRecord,
    VerdictRecord,
    WatchRecord,
)
from tests.evaluation.stand_in import StandIn
from tests.families import save

REFUSED = {
    "text": "I can't help with that here: someone could get hurt.",
    "action": "refuse",
    "decision": {
        "category": "physical-danger",
        "reasons": ["physical-danger is unsafe: p 0.9 >= unsafe_at 0.6, so verdict.on_unsafe"],
        "verdict": VerdictRecord(
            label="unsafe", p_unsafe=0.9, categories={"physical-danger": 0.9, "privacy": 0.1},
            source="self",
        ),
        "contrast": ContrastRecord(applied=True, alpha=0.3, noise_std=0.1, steps=5),
        "steps": [
            StepRecord(
                step=0, token="I", token_unguarded="Sure", refusal_mass_before=0.12,
                refusal_mass_after=0.81, divergence=0.0312,
                top=[Candidate(token="I", real=0.2, noised=0.21, guarded=0.8)],
            ),
            StepRecord(
                step=1, token=" can", token_unguarded=" can", refusal_mass_before=0.9,
                refusal_mass_after=0.99, divergence=None,
            ),
        ],
        "outcome": Outcome(refused=True),
    },
}  # fmt: skip


def says(question: str, policy: Any, mode: str) -> dict[str, Any]:
    return {"text": "Sure, step back a little."} if mode == "off" else dict(REFUSED)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "cliff.png"
    Image.new("RGB", (32, 24), "teal").save(path)
    return str(path)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn(says)

    def load(model: str | None, policy: Any, *, server: str | None, console: Any) -> StandIn:
        assert server is None
        stand_in.policy = policy
        return stand_in

    monkeypatch.setattr(command, "load_engine", load)
    return stand_in


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(command, "load_engine", load)


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "utf-8"))


# What is printed ---------------------------------------------------------------------------


def test_a_pipe_gets_the_guarded_answer_alone(
    engine: StandIn, picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "A selfie?", "--image", picture]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{REFUSED['text']}\n"
    assert captured.err == ""
    assert engine.asked == [("A selfie?", "enforce")]


def test_json_is_one_object_with_the_decision(
    engine: StandIn, picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "A selfie?", "--image", picture, "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert list(out) == ["answer", "guardrail"]
    assert out["answer"] == REFUSED["text"]
    assert out["guardrail"]["verdict"]["p_unsafe"] == 0.9


def test_json_holds_the_unguarded_answer_when_compared(
    engine: StandIn, picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "A selfie?", "--image", picture, "--json", "--compare"]) == 0
    assert json.loads(capsys.readouterr().out)["unguarded"] == "Sure, step back a little."
    assert [mode for _, mode in engine.asked] == ["enforce", "off"]


def test_comparing_in_a_pipe_shows_both(
    engine: StandIn, picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "A selfie?", "-i", picture, "--compare", "--explain"]) == 0
    out = capsys.readouterr().out
    assert "Sure, step back" in out
    assert "refusal mass" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_the_question_comes_from_a_pipe(
    arguments: list[str], engine: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, "  Où suis-je?\n".encode())
    assert main(["ask", *arguments]) == 0
    assert engine.asked == [("Où suis-je?", "enforce")]


def test_an_escalation_is_status_one_and_says_so(
    engine: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    escalated = {**REFUSED["decision"], "outcome": Outcome(finish_reason="escalated")}
    policy = load_policy("baseline")
    engine.policy = policy
    decision = engine._answer(_conversation(), policy, "enforce").decision
    decision = decision.model_copy(update=escalated)
    engine._says = lambda *_: {"error": Escalation("a human must decide", decision)}
    assert main(["ask", "x"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("guardrail: a human must decide: physical-danger is unsafe")
    assert main(["ask", "x", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["answer"] is None


def test_control_c_is_status_130(engine: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    engine._says = interrupt
    assert main(["ask", "x"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_closed_streams_are_no_crash(engine: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr", "stdin"):
        monkeypatch.setattr(sys, name, None)
    assert main(["ask", "x"]) == 0
    assert main(["ask"]) == 2


# What is refused before a model loads ------------------------------------------------------


def header_only_png(width: int, height: int) -> bytes:
    """What is left of a huge picture when only its beginning is there: a bomb needs no more."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")))
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def animated(path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])


def truncated(path: Path) -> None:
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    path.write_bytes(whole.getvalue()[:900])


BAD_PICTURES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "zero bytes": (lambda path: path.write_bytes(b""), "empty"),
    "truncated": (truncated, "truncated"),
    "20,000 x 20,000": (lambda path: path.write_bytes(header_only_png(20_000, 20_000)), "20,000"),
    "animated": (animated, "animated"),
    "text": (lambda path: path.write_text("just some words\n"), "is text"),
    "noise": (lambda path: path.write_bytes(bytes(range(256)) * 4), "unknown kind"),
    "missing": (lambda path: None, "does not exist"),
    "a folder": (lambda path: path.mkdir(), "directory"),
}


@pytest.mark.parametrize("fault", BAD_PICTURES)
@pytest.mark.usefixtures("no_model")
def test_a_bad_picture_is_one_line_and_status_two(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, said = BAD_PICTURES[fault]
    path = tmp_path / "bad.png"
    make(path)
    assert main(["ask", "What is this?", "--image", str(path)]) == 2
    assert_one_line(capsys, "bad.png", said)


MISSPELT = "version: 1\nname: mine\nextends: baseline\nverdict: {on_unsave: refuse}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--policy", "{folder}/mine.yaml"], "mine.yaml:4:11: verdict.on_unsave"),
        (["x", "--policy", "basline"], "baseline"),
        (["x", "--policy", "absent.yaml"], "absent.yaml"),
        (["x", "--mode", "on"], "enforce"),
        (["x", "--max-tokens", "0"], "max_new_tokens"),
        (["x", "--temperature", "-1"], "temperature"),
        (["x", "--temperature", "nan"], "temperature"),
        (["x", "--seed", "-1"], "seed"),
        (["  "], "question is empty"),
        (["\udcff"], "UTF-8"),
        (["x", "--system", "\udcff"], "UTF-8"),
        (["x", "--image", "https://example.org/a.png"], "remote pictures are not allowed"),
        (["x", "--image", ""], "empty"),
    ],
)
@pytest.mark.usefixtures("no_model")
def test_bad_input_is_one_line_and_status_two(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(MISSPELT)
    assert main(["ask", *(each.format(folder=tmp_path) for each in arguments)]) == 2
    assert_one_line(capsys, said)


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\xff"])
@pytest.mark.usefixtures("no_model")
def test_an_unusable_piped_question_is_one_line(
    content: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped(monkeypatch, content)
    assert main(["ask"]) == 2
    assert_one_line(capsys, "question")


@pytest.mark.parametrize("kind", ["empty folder", "text model", "missing", "file"])
def test_what_is_no_multimodal_model_is_one_line(
    kind: str, tmp_path: Path, picture: str, quietened: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    if kind == "text model":
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "gpt2"}')
    elif kind == "empty folder":
        folder.mkdir()
    elif kind == "file":
        folder = Path(picture)
    assert main(["ask", "x", "--image", picture, "--model", str(folder)]) == 2
    assert_one_line(capsys, folder.name if kind != "text model" else "gpt2")


@pytest.fixture
def quietened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the command's silence out of the other tests of this process."""
    monkeypatch.setattr("guardrail.cli.model_loading.quiet", lambda: None)


def assert_one_line(capsys: pytest.CaptureFixture[str], *said: str) -> None:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("guardrail: error: ")
    for each in said:
        assert each in captured.err


# How it looks ------------------------------------------------------------------------------


@pytest.fixture
def drawn(engine: StandIn, picture: str) -> Iterator[Callable[..., str]]:
    def draw(width: int, *, explain: bool = True, text: str = "A selfie?", **options: Any) -> str:
        request = _request(text, [picture])
        engine.policy = request.policy
        guarded = engine.answer(request.conversation, request.settings)
        unguarded = engine.answer(request.conversation, request.settings, mode="off")
        out = io.StringIO()
        console = Console(file=out, force_terminal=True, width=width, color_system=None, **options)
        show(console, request, guarded.text, guarded.decision, unguarded=unguarded, explain=explain)
        return out.getvalue()

    return draw


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_nothing_is_wider_than_the_terminal(width: int, drawn: Callable[..., str]) -> None:
    assert max(map(len, drawn(width).splitlines())) <= width


def test_a_terminal_shows_both_answers_verdict_action_and_reason(
    drawn: Callable[..., str],
) -> None:
    out = drawn(120)
    side_by_side = next(line for line in out.splitlines() if "step back" in line)
    assert "I can't help" in side_by_side
    for part in ("physical-danger", "0.90", "unsafe", "0.36", "0.60", "refuse", "unsafe_at 0.6"):
        assert part in out


def test_explain_shows_the_guided_steps(drawn: Callable[..., str]) -> None:
    out = drawn(120)
    for part in ("'Sure'", "0.120 → 0.810", "0.0312", "same", "noised picture"):
        assert part in out
    assert "refusal mass" not in drawn(120, explain=False)


WATCHED = (
    [WatchRecord(tokens=8 * at, label="safe", act="release", p_unsafe=0.1) for at in range(1, 61)]
    + [WatchRecord(tokens=488, label="uncertain", act="hold", p_unsafe=0.5, reasons=["in doubt"])]
    + [WatchRecord(tokens=496, label="unavailable", act="replace", reasons=["no \x1b[2Jidea"])]
)


@pytest.mark.parametrize("width", [60, 120])
def test_explain_shows_the_readings_of_a_watched_answer(
    width: int, engine: StandIn, picture: str
) -> None:
    watching = load_policy("baseline").model_copy(update={"watch": {"every": 8}})
    request, out = replace(_request("A selfie?", [picture]), policy=watching), io.StringIO()
    outcome = Outcome(refused=True, replaced=True, finish_reason="blocked", output_tokens=496)
    given = {"watch": WATCHED, "outcome": outcome}
    engine.policy, engine._says = watching, lambda *_: {"text": "No.", "decision": given}
    guarded = engine.answer(request.conversation, request.settings)
    console = Console(file=out, width=width, color_system=None)
    show(console, request, guarded.text, guarded.decision, explain=True)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    said = " ".join(out.getvalue().split())
    assert "turned: replaced at 496 tokens" in said
    assert "safe below 0.4, unsafe at 0.6: replace" in said
    for tokens, p, label, act in (
        *(("8", "0.100", "safe", "release"), ("488", "0.500", "uncertain", "hold")),
        ("496", "-", "unavailable", "replace"),
    ):
        row = next(line.split() for line in lines if line.split()[:1] == [tokens])
        assert row[1] == p
        assert row[-2:] == [label, act]
    assert "40 more readings cleared the answer" in said
    assert "at 488 tokens: in doubt" in said
    assert "\x1b" not in said
    out.truncate(0)
    show(console, request, guarded.text, guarded.decision, explain=False)
    assert "at 488 tokens" not in out.getvalue()


def test_an_answer_cannot_steer_the_terminal(engine: StandIn, drawn: Callable[..., str]) -> None:
    engine._says = lambda *_: {"text": "[bold]x[/bold] \x1b[2J\x07 \u202eevil"}
    out = drawn(120, text="\x1b]0;title\x07[red]hm")
    assert "\x1b" not in out.replace("\x1b[0m", "")
    assert "\u202e" not in out
    assert "[bold]x[/bold]" in out


def test_marks_stand_at_the_thresholds() -> None:
    bar = probability_bar(0.55, (0.4, 0.6), width=10, style="red", ascii_only=True)
    assert bar.plain == "####|#|..."
    assert probability_bar(None, (1.0,), width=4, style="", ascii_only=True).plain == "...|"


def test_hidden_characters_become_visible() -> None:
    assert visible("a\x1bb\u200bc\n") == "a\\x1bb\\u200bc\n"
    assert visible("a\nb", keep_newlines=False) == "a\\nb"
    assert visible("👩‍🚒 é 한") == "👩‍🚒 é 한"


# With a model ------------------------------------------------------------------------------


def test_a_real_run_prints_json_and_no_chatter(tmp_path: Path, picture: str) -> None:
    save("llava", tmp_path / "llava")
    arguments = ["What is this?", "--image", picture, "--model", str(tmp_path / "llava")]
    done = subprocess.run(
        [sys.executable, "-m", "guardrail", "ask", *arguments, "--json", "--compare",
         "--max-tokens", "4", "--policy", "baseline"],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    assert list(out) == ["answer", "unguarded", "guardrail"]
    assert out["guardrail"]["action"] == "block"  # an untrained judge says neither yes nor no
    assert done.stderr == ""


def _request(text: str, images: list[str]) -> Any:
    return ask_request(
        text=text,
        images=images,
        demo=False,
        policy="baseline",
        mode=None,
        model=None,
        system="",
        max_tokens=None,
        temperature=None,
        seed=None,
    )


def _conversation() -> Any:
    return _request("x", []).conversation
