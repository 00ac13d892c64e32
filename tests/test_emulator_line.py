"""A serial line keeps bytes in order, whatever pieces they come, go and come back in."""

import threading
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from hil.targets.emulator.line import Line

_STEPS = st.one_of(
    st.tuples(st.just("send"), st.binary(max_size=20), st.sampled_from([0, 9600])),
    st.tuples(st.just("take"), st.just(b""), st.integers(1, 9)),
    st.tuples(st.just("most"), st.just(b""), st.integers(0, 30)),
    st.tuples(st.just("back"), st.integers(0, 5).map(bytes), st.just(0)),
    st.tuples(st.just("drop"), st.just(b""), st.just(0)),
)


@given(st.lists(_STEPS, max_size=40))
def test_a_line_is_a_queue_of_bytes_with_their_bauds(steps: list[tuple[str, bytes, int]]) -> None:
    met: list[tuple[int, int]] = []
    line, queue = Line("usart1", lambda: None), deque[tuple[int, int]]()
    plain = line.arrives

    def arrives(byte: int, baud: int) -> int:
        met.append((byte, baud))
        return byte

    for step, data, count in steps:
        if step == "send":
            line.send(data, count)
            queue.extend((byte, count) for byte in data)
        elif step == "take":
            line.arrives = arrives
            for _ in range(count):
                expected = queue.popleft() if queue else None
                assert line.take() == (expected[0] if expected else None)
                assert expected is None or met[-1] == expected
            assert line.take_most(9) == b""
            line.arrives = plain
        elif step == "most":
            most = max(min(count, len(queue) - 1), 0)
            assert line.take_most(count) == bytes(queue.popleft()[0] for _ in range(most))
        elif step == "back":
            line.put_back(data)
            queue.extendleft((byte, 0) for byte in reversed(data))
        else:
            line.discard_sent()
            queue.clear()
        assert bool(line) == bool(queue)
    assert [line.take() for _ in range(len(queue) + 1)] == [*(byte for byte, _ in queue), None]


def test_no_byte_is_lost_between_two_threads() -> None:
    line, had, count = Line("usart1", lambda: None), bytearray(), 20_000

    def send() -> None:
        for at in range(count):
            line.send(bytes((at & 0xFF, at >> 8 & 0xFF)))

    host = threading.Thread(target=send)
    host.start()
    while len(had) < 2 * count:
        had += line.take_most(7)
        byte = line.take()
        if byte is not None:
            had.append(byte)
    host.join()
    assert bytes(had) == b"".join(bytes((at & 0xFF, at >> 8 & 0xFF)) for at in range(count))
