import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.link.frames import (
    LARGEST_BODY_BYTES,
    Damaged,
    Decoder,
    Frame,
    decode,
    encode,
    stuff,
    unstuff,
)

bodies = st.binary(max_size=LARGEST_BODY_BYTES) | st.integers(0, LARGEST_BODY_BYTES).map(bytes)
frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), bodies)


@given(st.binary(max_size=1100) | st.integers(200, 800).map(lambda n: b"\1" * n))
def test_stuffing_removes_every_zero_and_can_be_undone(data: bytes) -> None:
    stuffed = stuff(data)
    assert 0 not in stuffed
    assert unstuff(stuffed) == data


@given(st.binary(max_size=600))
def test_unstuffing_takes_any_bytes_without_an_exception(data: bytes) -> None:
    unstuffed = unstuff(data)
    assert unstuffed is None or len(unstuffed) <= len(data)


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 3000), max_size=8))
def test_frames_are_found_however_the_stream_is_cut(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(map(encode, sent))
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder = Decoder()
    found = [frame for start, end in pairwise(edges) for frame in decoder.feed(stream[start:end])]
    assert found == sent


@given(st.binary(max_size=4000))
def test_noise_never_passes_for_a_frame(noise: bytes) -> None:
    for item in Decoder().feed(noise + b"\0"):
        assert isinstance(item, Damaged)


@given(frames, st.data())
def test_a_single_flipped_bit_is_always_noticed(frame: Frame, data: st.DataObject) -> None:
    wire = bytearray(encode(frame))
    at = data.draw(st.integers(0, 8 * len(wire) - 1))
    wire[at // 8] ^= 1 << at % 8
    assert frame not in list(Decoder().feed(bytes(wire)))


@given(frames, st.binary(max_size=40).map(lambda noise: noise.replace(b"\0", b"\1")))
def test_a_frame_after_noise_is_whole(frame: Frame, noise: bytes) -> None:
    assert list(Decoder().feed(noise + encode(frame)))[-1] == frame


def test_an_endless_frame_takes_no_more_memory_than_the_longest_one() -> None:
    decoder = Decoder()
    for _ in range(50):
        assert list(decoder.feed(b"\1" * 1000)) == []
    (item,) = decoder.feed(b"\0")
    assert isinstance(item, Damaged)
    assert len(item.encoded) < 1100


def test_a_longer_body_than_the_firmware_has_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="1029"):
        encode(Frame(1, 1, bytes(LARGEST_BODY_BYTES + 1)))


def test_a_frame_longer_than_the_longest_is_damaged_even_with_a_right_crc() -> None:
    content = bytes(LARGEST_BODY_BYTES + 3)
    content += zlib.crc32(content).to_bytes(4, "little")
    assert isinstance(decode(stuff(content)), Damaged)
