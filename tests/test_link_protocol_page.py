"""docs/protocol.md says what the code does."""

from pathlib import Path

from hil.link import messages
from hil.link.frames import Decoder, Frame
from hil.link.messages import REPORTS, REQUESTS, Fault, Field, Load, Loaded, Refusal, layout

PAGE = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
_TYPES = {
    messages.IDENTITY: "20 B",
    messages.NAME: "text 32",
    messages.TEXT: "text",
    messages.DATA: "bytes",
    messages.FLAG: "flag",
}


def wire_type(field: Field) -> str:
    return _TYPES.get(field.wire) or f"u{8 * (field.wire.bytes or 0)}"


def test_the_example_frames_are_what_they_are_said_to_be() -> None:
    examples = [bytes.fromhex(line) for line in PAGE.splitlines() if line.startswith("    00 0")]
    frames = [frame for example in examples for frame in Decoder().feed(example)]
    assert frames == [
        Frame(Load.kind, 2, Load(0, b"\x07\x00\xf9").pack()),
        Frame(Loaded.kind, 2, Loaded(3).pack()),
    ]


def test_every_message_stands_in_a_table_with_its_fields() -> None:
    for message in (*REQUESTS, *REPORTS):
        fields = ", ".join(f"{field.name} {wire_type(field)}" for field in layout(message)) or "-"
        if message is Fault:
            registers = [field for field in layout(Fault) if field.wire == messages.UINT32]
            fields = f"{len(registers)} registers u32, see `hil/link/messages.py`, note text"
        assert f"| `{message.__name__}` | {message.kind:02X} | {fields} | " in PAGE


def test_every_refusal_stands_in_a_table() -> None:
    for refusal in Refusal:
        assert f"| `{refusal.name}` | {refusal.value} | " in PAGE
