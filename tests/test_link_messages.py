from hypothesis import given
from hypothesis import strategies as st

from hil.link import frames, header, messages
from hil.link.messages import REPORTS, REQUESTS, MalformedError, Message, layout, parse

_ALL = (*REQUESTS, *REPORTS)


def values(field: messages.Field) -> st.SearchStrategy[object]:
    size = field.wire.bytes
    if field.python is bool:
        return st.booleans()
    if field.python is int:
        return st.integers(0, 256 ** (size or 0) - 1)
    if field.python is str:
        text = st.text(st.characters(codec="ascii", exclude_characters="\0"))
        return text if size is None else text.filter(lambda text: len(text) < size)
    return st.binary(max_size=100) if size is None else st.binary(min_size=size, max_size=size)


@st.composite
def any_message(draw: st.DrawFn) -> Message:
    kind = draw(st.sampled_from(_ALL))
    return kind(**{field.name: draw(values(field)) for field in layout(kind)})


@given(any_message())
def test_what_is_packed_is_unpacked_again(message: Message) -> None:
    assert type(message).unpack(message.pack()) == message


@given(st.integers(0, 255), st.binary(max_size=200))
def test_any_body_is_a_message_or_malformed(kind: int, body: bytes) -> None:
    try:
        message = parse(kind, body)
    except MalformedError:
        return
    assert message.kind == kind


def test_every_message_has_a_kind_of_its_own() -> None:
    assert len({message.kind for message in _ALL}) == len(_ALL)


def test_every_message_fits_a_frame() -> None:
    for message in _ALL:
        fixed = sum(field.wire.bytes or 0 for field in layout(message))
        tail = frames.DATA_BYTES if any(f.wire == messages.DATA for f in layout(message)) else 0
        assert fixed + tail <= frames.LARGEST_BODY_BYTES


def test_the_firmware_s_header_is_the_one_that_the_messages_give() -> None:
    assert header.HEADER.read_text(encoding="utf-8") == header.render(), (
        "run: python -m hil.link.header"
    )
