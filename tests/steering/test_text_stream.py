from collections.abc import Sequence

import pytest

from guardrail.steering.text_stream import TextStream

PIECES = [b"Hello", b" wor", b"ld", b"\xe4\xbd", b"\xa0", b" ST", b"OP", b" more", b"STO"]


def _decode(ids: Sequence[int]) -> str:
    return b"".join(PIECES[at] for at in ids).decode(errors="replace")


def test_pieces_join_to_the_whole_text() -> None:
    stream = TextStream(_decode)
    pieces = [stream.push(at) for at in range(5)]
    assert pieces == ["Hello", " wor", "ld", "", "你"]
    assert stream.text == "Hello world你"
    assert stream.token_ids == (0, 1, 2, 3, 4)


def test_a_stop_string_is_cut_off_also_across_tokens() -> None:
    stream = TextStream(_decode, stop=["STOP"])
    pieces = [stream.push(at) for at in (0, 5, 6, 7)]
    assert pieces == ["Hello", " ", "", ""]
    assert stream.flush() == ""
    assert stream.text == "Hello "


def test_what_only_looked_like_a_stop_string_is_given_out_later() -> None:
    stream = TextStream(_decode, stop=["STOP"])
    assert [stream.push(at) for at in (0, 5, 1)] == ["Hello", " ", "ST wor"]
    assert [stream.push(8), stream.flush()] == ["", "STO"]


@pytest.mark.parametrize("stop", [["world", "wor"], ["wor"]])
def test_the_earliest_stop_string_wins(stop: list[str]) -> None:
    stream = TextStream(_decode, stop=stop)
    for at in range(3):
        stream.push(at)
    stream.flush()
    assert stream.text == "Hello "


def test_bytes_that_never_become_a_character_are_shown_at_the_end() -> None:
    stream = TextStream(_decode)
    assert stream.push(3) == ""
    assert stream.flush() == "\ufffd"


def test_a_run_of_bytes_is_given_out_once_it_is_whole() -> None:
    """As byte fallback decodes it: a run that is no valid UTF-8 is nothing but replacements."""

    def decode(ids: Sequence[int]) -> str:
        run = bytes(token for token in ids if token < 256)
        try:
            spelled = run.decode()
        except UnicodeDecodeError:
            spelled = "\ufffd" * len(run)
        return spelled + "word" * sum(token == 300 for token in ids)

    stream = TextStream(decode, fragments=frozenset(range(256)))
    assert [stream.push(token) for token in (0x0B, 0xE2, 0x0B)] == ["", "", ""]
    assert stream.push(300) == "\ufffd\ufffd\ufffdword"
    ended = TextStream(decode, fragments=frozenset(range(256)))
    assert (ended.push(0x41), ended.flush(), ended.text) == ("", "A", "A")
