"""The firmware's side of the messages: `python -m hil.link.header` writes link_messages.h anew."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from hil.link import frames, messages
from hil.link.messages import (
    PROTOCOL_VERSION,
    REPORTS,
    REQUESTS,
    Field,
    Message,
    Refusal,
    Start,
    layout,
)
from hil.paths import FIRMWARE

HEADER = FIRMWARE / "runtime" / "link_messages.h"


def write(path: Path = HEADER) -> None:
    """Write the header."""
    path.write_text(render(), encoding="utf-8")


def render() -> str:
    """Return the header's text."""
    lines = [
        "/* The messages of the link. Generated: change hil/link/messages.py, then run",
        " * python -m hil.link.header. */",
        "#ifndef HIL_LINK_MESSAGES_H",
        "#define HIL_LINK_MESSAGES_H",
        "/* clang-format off */",
        "",
        "#include <stdbool.h>",
        "#include <stdint.h>",
        "",
        '#include "link_bytes.h"',
        "",
        *_enumeration(
            {
                "PROTOCOL_VERSION": PROTOCOL_VERSION,
                "DATA_BYTES": frames.DATA_BYTES,
                "LARGEST_BODY_BYTES": frames.LARGEST_BODY_BYTES,
            }
        ),
        *_enumeration({f"REFUSED_{refusal.name}": refusal.value for refusal in Refusal}),
        *_enumeration({f"START_{start.name}": start.value for start in Start}),
    ]
    for message in REQUESTS:
        lines += [*_declaration(message), *_unpack(message), ""]
    for message in REPORTS:
        lines += [*_declaration(message), *_pack(message), ""]
    return "\n".join([*lines, "#endif", ""])


def _enumeration(values: dict[str, int]) -> list[str]:
    return ["enum {", *(f"    LINK_{name} = {value}," for name, value in values.items()), "};", ""]


def _declaration(message: type[Message]) -> Iterator[str]:
    """Yield the message's meaning, its kind and, where it has fields, its structure."""
    text = " ".join((message.__doc__ or "").split())
    yield from textwrap.wrap(f"/* {text} */", 100, subsequent_indent=" * ")
    yield f"enum {{ LINK_{_snake(message).upper()} = 0x{message.kind:02X} }};"
    if layout(message):
        yield "typedef struct {"
        for field in layout(message):
            if field.wire == messages.NOTE:
                continue
            gap = "" if field.wire.c_type.endswith("*") else " "
            yield f"    {field.wire.c_type}{gap}{field.name};"
            if field.wire == messages.DATA:
                yield f"    uint32_t {field.name}_bytes;"
        yield f"}} link_{_snake(message)}_t;"


def _unpack(message: type[Message]) -> Iterator[str]:
    """Yield the function that reads a request from a frame's body, false where it does not fit."""
    if not layout(message):
        return
    name = f"link_{_snake(message)}"
    fixed = _fixed_bytes(message)
    yield f"static inline bool {name}_unpack(const uint8_t *body, uint32_t bytes, {name}_t *m) {{"
    if fixed:  # of none, any number of bytes will do
        yield f"    if (bytes {'<' if _has_tail(message) else '!='} {fixed}u) {{"
        yield "        return false;"
        yield "    }"
    for at, field in _placed(message):
        match field.wire:
            case messages.UINT32:
                yield f"    m->{field.name} = link_read_u32(body + {at});"
            case messages.FLAG:
                yield f"    m->{field.name} = body[{at}] != 0;"
            case messages.DATA:
                yield f"    m->{field.name} = body + {at};"
                yield f"    m->{field.name}_bytes = bytes - {at};"
            case wire:
                raise TypeError(f"no rule to read {wire} in the firmware: add one here")
    yield "    return true;"
    yield "}"


def _pack(message: type[Message]) -> Iterator[str]:
    """Yield the function that prepares a report for sending."""
    name = f"link_{_snake(message)}"
    parameter = f", const {name}_t *m" if layout(message) else ""
    initial = f".kind = 0x{message.kind:02X}, .head_bytes = {_fixed_bytes(message)}"
    if layout(message):
        yield f'_Static_assert({_fixed_bytes(message)} <= LINK_HEAD_BYTES, "a larger head");'
    yield f"static inline void {name}_pack(link_report_t *report{parameter}) {{"
    yield f"    *report = (link_report_t){{{initial}}};"
    for at, field in _placed(message):
        value, place = f"m->{field.name}", f"report->head + {at}"
        match field.wire:
            case messages.TEXT:
                yield f"    report->tail = (const uint8_t *){value};"
                yield f"    report->tail_bytes = link_text_bytes({value});"
            case messages.NAME:
                yield f"    link_write_name({place}, {value}, {field.wire.bytes});"
            case messages.DATA:
                yield f"    report->tail = {value};"
                yield f"    report->tail_bytes = {value}_bytes;"
            case messages.IDENTITY:
                yield f"    link_write_bytes({place}, {value}, {field.wire.bytes});"
            case _:
                yield f"    link_write({place}, {value}, {field.wire.bytes});"
    yield "}"


def _placed(message: type[Message]) -> Iterator[tuple[int, Field]]:
    """Yield the fields with their offsets in the body."""
    at = 0
    for field in layout(message):
        if field.wire != messages.NOTE:
            yield at, field
        at += field.wire.bytes or 0


def _fixed_bytes(message: type[Message]) -> int:
    return sum(field.wire.bytes or 0 for field in layout(message))


def _has_tail(message: type[Message]) -> bool:
    return any(field.wire.bytes is None for field in layout(message))


def _snake(message: type[Message]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", message.__name__).lower()


if __name__ == "__main__":
    write()
