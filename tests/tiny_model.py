"""A model small enough to read: output = input + 2, modulo 256, in two layers of weights."""

from pathlib import Path

INPUT_BYTES = 600
OUTPUT_BYTES = 600
LAYERS = ("first", "second")
MACS = (600, 1200)

_MODEL = """
#include <stddef.h>

#include "runtime/model.h"
#include "weights.h"

enum { COUNT = 600 };

const char model_name[] = "tiny";
MODEL_SRAM uint8_t model_arena[COUNT];
const uint32_t model_arena_bytes = COUNT;
MODEL_CCM uint8_t model_scratch[16];
const uint32_t model_scratch_bytes = 16;
const uint32_t model_input_offset = 0, model_input_bytes = COUNT;
const uint32_t model_output_offset = 0, model_output_bytes = COUNT;
const bool model_input_survives = false;
enum { AT_ONCE, BY_ROWS, GIVES_BEHIND, WAY = %(way)s };
const bool model_streams = WAY != AT_ONCE;

static void add(const uint8_t *addend) {
    for (uint32_t i = 0; i < COUNT; i++) {
        model_arena[i] = (uint8_t)(model_arena[i] + addend[i %% 4u]);
    }
}

static void first(void) { add(tiny_addend); }

static void second(void) { add(tiny_addend + 4); }

/* Both layers a row at a time, at the same place in memory. */
enum { ROW = 200 };
static void rows(void) {
    int8_t *const row = (int8_t *)model_arena;
    for (uint32_t at = 0; at < COUNT; at += ROW) {
        if (!model_take(at, row, ROW)) {
            return;
        }
        for (uint32_t i = 0; i < ROW; i++) {
            row[i] = (int8_t)(row[i] + tiny_addend[i %% 4u]);
        }
        model_lap(0);
        for (uint32_t i = 0; i < ROW; i++) {
            row[i] = (int8_t)(row[i] + tiny_addend[4u + i %% 4u]);
        }
        if (!model_give(at, row, ROW)) {
            return;
        }
    }
}

/* Both layers over the whole image, and the results behind them, each without asking whether the
 * run goes on. */
static void whole(void) {
    if (!model_take(0, (int8_t *)model_arena, COUNT)) {
        return;
    }
    first();
    second();
}

static void give_behind(void) {
    for (uint32_t at = 0; at < COUNT; at += ROW) {
        (void)model_give(at, (int8_t *)model_arena + at, ROW);
    }
}

void model_init(void) { model_scratch[0] = 1; }

const model_layer_t model_layers[] = {
    {"first", 600, WAY == AT_ONCE ? first : WAY == BY_ROWS ? NULL : whole},
    {"second", 1200, WAY == AT_ONCE ? second : WAY == BY_ROWS ? rows : give_behind},
};
const uint32_t model_layer_count = 2;
"""
_WEIGHTS_HEADER = """
#include <stdint.h>

extern const uint8_t tiny_addend[8];
"""
_WEIGHTS = """
#include "weights.h"

const uint8_t tiny_addend[8] = {17, 29, 43, 71, 241, 229, 215, 187};
"""
WEIGHTS = bytes((17, 29, 43, 71, 241, 229, 215, 187))


def write(directory: Path, *, streams: bool = False, gives_behind: bool = False) -> Path:
    """Write the model's sources; returns the directory, which `hil.build.firmware.build` takes."""
    way = "GIVES_BEHIND" if gives_behind else "BY_ROWS" if streams else "AT_ONCE"
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("model.c", _MODEL % {"way": way}),
        ("weights.h", _WEIGHTS_HEADER),
        ("weights.c", _WEIGHTS),
    ):
        (directory / name).write_text(text.lstrip(), encoding="utf-8")
    return directory


def expected(data: bytes) -> bytes:
    """Return the outputs for an input of INPUT_BYTES."""
    return bytes((value + 2) % 256 for value in data)
