/*
 * The timing core's hot path: cycles, flash accelerator and the look-up of what a block costs.
 *
 * Unicorn calls timing_on_block before each block of code. A node holds what a block costs when
 * entered with a certain state of the pipeline; the cold path (Python) fills it at first need. Each
 * of a node's two edges (to the code behind it, to anywhere else) remembers the node it led to
 * last, so that a loop never searches. A block is charged when the next one begins, since only then
 * is it known which way it ended.
 *
 * Flash stalls depend on what ran before and are worked out here, line by line (RM0090
 * section 3.5).
 */
#include "conditions.h"
#include "state.h"

#include <stddef.h>
#include <string.h>

size_t timing_size(void) {
    return sizeof(timing_t);
}
node_t *timing_node(timing_t *t, uint32_t index) {
    return &t->nodes[index];
}

places_t *timing_places(timing_t *t) {
    return &t->places;
}

checks_t *timing_checks(timing_t *t) {
    t->checks.owner = t;
    return &t->checks;
}

uint32_t timing_current(const timing_t *t) {
    return t->current ? (uint32_t)(t->current - t->nodes) : UINT32_MAX;
}

/* flash accelerator */

static inline uint32_t flash_line(const timing_t *t, uint32_t line) {
    return line - t->first_line;
}

/*
 * Most blocks find their lines where they were when they ran last. Such a block, since no line has
 * left the cache meanwhile, only notes that it ran; the order in which its lines were used is
 * worked out when a line is to be replaced.
 */
static void note_use(timing_t *t, node_t *node) {
    if (node->used <= t->cache_change) {
        node->used_before = t->used_nodes;
        t->used_nodes = node;
    }
    t->used += node->fetches;
    node->used = t->used;
    t->line = node->last_line;
    t->stalls = 0;
}

static void work_out_uses(timing_t *t) {
    for (const node_t *node = t->used_nodes; node; node = node->used_before) {
        const fetch_t *fetch = &t->fetches[node->first_fetch];
        uint64_t use = node->used - node->fetches;
        for (uint32_t i = 0; i < node->fetches; i++) {
            uint64_t *last_use = &t->last_use[t->slot_of[flash_line(t, fetch[i].line)] - 1];
            if (++use > *last_use) {
                *last_use = use;
            }
        }
    }
    t->used_nodes = NULL;
}

void timing_clear_instruction_cache(timing_t *t) {
    for (size_t i = 0; i < t->cache_lines; i++) {
        t->tags[i] = NO_LINE;
        t->last_use[i] = 0;
    }
    memset(t->slot_of, 0, sizeof t->slot_of);
    t->used_nodes = NULL;
    t->cache_change = ++t->used;
}

void timing_clear_data_cache(timing_t *t) {
    for (size_t i = 0; i < DATA_LINES; i++) {
        t->data_tags[i] = NO_LINE;
        t->data_last_use[i] = 0;
    }
}

void timing_clear_line_buffers(timing_t *t) {
    t->line = NO_LINE;
    t->prefetched = NO_LINE;
}

static bool cached(timing_t *t, uint32_t line) {
    uint32_t slot = t->slot_of[flash_line(t, line)];
    if (slot == 0) {
        return false;
    }
    t->last_use[slot - 1] = ++t->used;
    return true;
}

/* The slot used longest ago; four searches side by side, since each waits for its last step. */
static uint32_t oldest_slot(const timing_t *t) {
    enum { SEARCHES = 4 };
    uint32_t oldest[SEARCHES] = {0, 1, 2, 3};
    for (uint32_t i = SEARCHES; i < t->cache_lines; i += SEARCHES) {
        for (uint32_t k = 0; k < SEARCHES; k++) {
            oldest[k] = t->last_use[i + k] < t->last_use[oldest[k]] ? i + k : oldest[k];
        }
    }
    for (uint32_t k = 1; k < SEARCHES; k++) {
        oldest[0] = t->last_use[oldest[k]] < t->last_use[oldest[0]] ? oldest[k] : oldest[0];
    }
    return oldest[0];
}

static void cache(timing_t *t, uint32_t line) {
    work_out_uses(t);
    uint32_t oldest = oldest_slot(t);
    if (t->tags[oldest] != NO_LINE) {
        t->slot_of[flash_line(t, t->tags[oldest])] = 0;
    }
    t->tags[oldest] = line;
    t->cache_change = t->last_use[oldest] = ++t->used;
    t->slot_of[flash_line(t, line)] = (uint8_t)(oldest + 1);
}

/* Begin to read the line after this one, unless it is at hand; `begin` is when the flash can. */
static void prefetch_behind(timing_t *t, uint32_t line, uint64_t begin) {
    if (!t->prefetch || flash_line(t, line + 1) >= t->flash_lines ||
        (t->instruction_cache && t->slot_of[flash_line(t, line + 1)])) {
        t->prefetched = NO_LINE;
        return;
    }
    t->prefetched = line + 1;
    t->prefetch_ready = begin + t->wait_states;
    t->flash_free = t->prefetch_ready + 1;
}

static void fetch_line(timing_t *t, const fetch_t *fetch) {
    uint32_t line = fetch->line;
    t->line = line;
    if (t->instruction_cache && cached(t, line)) {
        return;
    }
    uint64_t needed = t->run.cycles + fetch->needed;
    uint64_t ready;
    bool was_prefetched = line == t->prefetched;
    if (was_prefetched) {
        ready = t->prefetch_ready;
    } else {
        ready = needed - fetch->ahead + t->wait_states;
    }
    if (t->instruction_cache && (!was_prefetched || t->prefetch_fills_cache)) {
        cache(t, line);
    }
    if (ready > needed) {
        uint32_t stall = (uint32_t)(ready - needed);
        t->run.cycles += stall;
        t->fetch_stalls += stall;
        t->current->fetch_stall += stall;
        if (t->stalls < BLOCK_STALLS) {
            t->stall[t->stalls++] = (stall_t){fetch->needed, stall};
        }
    }
    prefetch_behind(t, line, ready + 1);
}

static void fetch_lines(timing_t *t, node_t *node) {
    if (node->resident == t->cache_change) {
        note_use(t, node);
        return;
    }
    const fetch_t *fetch = &t->fetches[node->first_fetch];
    uint64_t change = t->cache_change;
    uint32_t at_hand = 0;
    t->stalls = 0;
    for (uint32_t i = 0; i < node->fetches; i++) {
        if (fetch[i].line != t->line) {
            fetch_line(t, &fetch[i]);
        }
        at_hand += t->slot_of[flash_line(t, fetch[i].line)] != 0;
    }
    if (t->instruction_cache && node->fetches && at_hand == node->fetches) {
        node->resident = change; /* in vain if a line has been replaced since */
    }
}

static bool data_cached(timing_t *t, uint32_t line) {
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < DATA_LINES; i++) {
        if (t->data_tags[i] == line) {
            t->data_last_use[i] = ++t->used;
            return true;
        }
        if (t->data_last_use[i] < t->data_last_use[oldest]) {
            oldest = i;
        }
    }
    t->data_tags[oldest] = line;
    t->data_last_use[oldest] = ++t->used;
    return false;
}

static void read_data_line(timing_t *t, uint32_t line) {
    t->data_reads++;
    if (!t->wait_states || (t->data_cache && data_cached(t, line))) {
        return;
    }
    t->data_misses++;
    uint64_t now = t->run.cycles;
    if (t->prefetched != NO_LINE && t->prefetch_ready > now) {
        t->prefetch_ready += t->wait_states + 1; /* the D-Code bus goes first */
    }
    t->run.cycles += t->wait_states;
    t->data_stalls += t->wait_states;
    if (t->current) {
        t->current->data_stall += t->wait_states;
    }
}

/* nodes */

enum { NO_IT, CONDITION_HOLDS, CONDITION_FAILS };
enum { ALWAYS = 14 }; /* the condition that always holds */
/* What a block may write that is looked at behind it: PRIMASK and the like; SP, other than by
 * moving it by words. */
enum { MASKS = 1, STACK_POINTER = 2 };

/* Whether a node is what a block costs now; the instruction cache is switched by stores, so that an
 * edge may lead to the node of its other state. */
static bool is_node(const timing_t *t, const node_t *node, uint32_t address, uint32_t size,
                    uint32_t outcome) {
    return node->address == address && node->size == size && node->outcome == outcome &&
           node->cached == t->instruction_cache;
}

static uint32_t bucket_of(uint32_t address, uint32_t size, uint32_t state, uint32_t cached) {
    uint32_t hash = (address >> 1) * 0x9e3779b1u ^ size * 0x85ebca6bu ^ state * 0xc2b2ae35u;
    return (hash ^ hash >> 15 ^ cached << 7) & (BUCKETS - 1);
}

/* Where it is noted whether there is code in a page: no two memories share a place. */
static uint8_t *code_page(timing_t *t, uint32_t address) {
    uint32_t memory = address >> 24, page = (address & 0xffffff) / PAGE_BYTES;
    return &t->code_pages[(memory * MEMORY_PAGES + page) & (CODE_PAGES - 1)];
}

static void mark_code(timing_t *t, uint32_t address, uint32_t size) {
    *code_page(t, address) = *code_page(t, address + size - 1) = 1;
}

static void forget_nodes(timing_t *t) {
    t->harvest();
    work_out_uses(t);
    memset(t->buckets, 0, sizeof t->buckets);
    memset(t->code_pages, 0, sizeof t->code_pages);
    memset(t->nodes, 0, t->node_count * sizeof(node_t));
    t->current = NULL;
    t->node_count = 0;
    t->fetch_count = 0;
    places_forget(&t->places);
    checks_forget(&t->checks);
    t->forget = 0;
    t->flush_wanted = 1; /* code is to pass through timing_translate again */
}

/* The node of a block entered in the present state and with the present registers, built if need
 * be; NULL if that failed. */
static node_t *find(timing_t *t, void *engine, uint32_t address, uint32_t size, uint32_t outcome) {
    uint32_t bucket = bucket_of(address, size, t->state, t->instruction_cache);
    node_t *same = NULL;
    for (; (same = t->buckets[bucket]); bucket = (bucket + 1) & (BUCKETS - 1)) {
        if (same->state == t->state && is_node(t, same, address, size, outcome)) {
            break;
        }
    }
    for (node_t *node = same; node; node = node->next_case) {
        if (places_hold(&t->places, &node->placed, t->read_register, engine)) {
            return node;
        }
    }
    node_t *node = &t->nodes[t->node_count];
    *node = (node_t){.address = address,
                     .size = size,
                     .state = t->state,
                     .cached = t->instruction_cache,
                     .outcome = outcome,
                     .end = address + size,
                     .first_fetch = t->fetch_count};
    int outcome_of_build = t->build(t->node_count, address, size);
    if (outcome_of_build != BUILT) {
        t->run.left |= outcome_of_build == AGAIN;
        return NULL;
    }
    t->node_count++;
    if (same) {
        node->next_case = same->next_case;
        same->next_case = node;
    } else {
        t->buckets[bucket] = node;
    }
    mark_code(t, address, size);
    return node;
}

/* Add the lines that a node reads: each its number, when it is first needed, and how much earlier
 * it is asked for. Those outside of the flash are left out. */
void timing_add_fetches(timing_t *t, node_t *node, const uint32_t (*lines)[3], uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t *one = lines[i];
        if (flash_line(t, one[0]) < t->flash_lines && t->fetch_count < FETCHES) {
            fetch_t fetch = {one[0], (uint16_t)one[1], (uint16_t)one[2]};
            t->fetches[t->fetch_count++] = fetch;
            node->fetches++;
            node->last_line = fetch.line;
        }
    }
}

/* Whether code in a range was known: then every node is forgotten when the current block ends. */
bool timing_invalidate(timing_t *t, uint32_t address, uint32_t length) {
    bool known = false;
    uint32_t last = address + length - 1;
    for (uint32_t page = address / PAGE_BYTES; page <= last / PAGE_BYTES; page++) {
        uint32_t at = page * PAGE_BYTES, offset = at - t->flash_base;
        known |= *code_page(t, at);
        if (offset < t->flash_bytes) {
            t->shadow_valid[offset / PAGE_BYTES] = 0;
            t->prepared[offset / PAGE_BYTES] = 0;
        }
    }
    t->forget |= known;
    return known;
}

void timing_forget_calls(timing_t *t) {
    calls_forget(&t->calls, t->run.cycles);
}

/* A context of the calls so far; its cycles up to now. */
bool timing_context(timing_t *t, uint32_t number, context_t *out) {
    return calls_context(&t->calls, number, t->run.cycles, out);
}

/* blocks */

/* Charge the current block, which ended by going to an address, and return the edge it took. */
static inline edge_t *settle(timing_t *t, uint32_t address) {
    node_t *node = t->current;
    edge_t *edge = address == node->end ? &node->fall_through : &node->taken;
    t->run.cycles += edge->cost;
    t->run.instructions += node->instructions;
    edge->count++;
    t->state = edge->state;
    t->may_differ |= node->may_write;
    if (node->transfer == CALLS) {
        calls_enter(&t->calls, address, node->end, t->run.cycles);
    } else if (node->transfer == RETURNS && edge == &node->taken) {
        calls_return(&t->calls, address, t->run.cycles);
    }
    return edge;
}

/* Charge the current block when a run has ended behind it. */
void timing_settle(timing_t *t, uint32_t address) {
    if (t->current) {
        settle(t, address);
        t->expected = address;
        t->current = NULL;
    }
}

/* Whether something in a block may trap: then `suspect` says which instruction. */
static bool is_suspect(timing_t *t, void *engine, const node_t *node) {
    t->suspect = checks_find(&t->checks, node->first_check, node->checks, t->read_register, engine);
    if (t->floats_trap && node->first_float) {
        t->suspect = node->first_float;
    }
    return t->suspect;
}

/* SP's low bits read as zero on silicon; Unicorn keeps what is written to them. */
static void align_stack_pointer(timing_t *t, void *engine) {
    uint32_t value = 0;
    t->read_register(engine, t->stack_pointer_id, &value);
    if (value & 3) {
        value &= ~3u;
        t->write_register(engine, t->stack_pointer_id, &value);
    }
}

/* Go on with a block; an edge that led to it is followed without a search. False if the run must
 * end before it. */
static inline bool enter(timing_t *t, void *engine, edge_t *edge, uint32_t address, uint32_t size,
                         uint32_t outcome) {
    node_t *node = edge ? edge->next : NULL;
    bool same = node && is_node(t, node, address, size, outcome);
    if (same && node == t->current && node->placed.rounds) {
        node->placed.rounds--;
    } else if (!same || !places_hold(&t->places, &node->placed, t->read_register, engine)) {
        node = find(t, engine, address, size, outcome);
        if (edge) {
            edge->next = node;
        }
    }
    t->current = node;
    if (!node) {
        t->expected = address;
        return false;
    }
    if ((node->checks || t->floats_trap) && is_suspect(t, engine, node)) {
        t->run.left = 1;
        t->current = NULL;
        t->expected = address;
        return false;
    }
    if (t->wait_states) {
        fetch_lines(t, node);
    }
    return true;
}

void timing_on_block(void *engine, uint64_t address, uint32_t size, void *context) {
    timing_t *t = context;
    uint32_t start = (uint32_t)address;
    edge_t *edge = NULL;
    if (t->current) {
        edge = settle(t, start);
    } else {
        t->may_differ = MASKS | STACK_POINTER;
        if (start != t->expected) {
            t->state = t->fresh;
            if (!calls_return(&t->calls, start, t->run.cycles)) {
                calls_enter(&t->calls, start, t->expected, t->run.cycles); /* an exception */
            }
        }
    }
    if (t->forget || t->node_count > NODES - BLOCK_PARTS ||
        t->fetch_count > FETCHES - BLOCK_PARTS || places_are_full(&t->places) ||
        t->checks.count > CHECKS - 4096) {
        forget_nodes(t);
        edge = NULL;
    }
    if (t->flush_wanted) {
        t->flush_wanted = 0;
        t->control(engine, t->flush_translations);
    }
    if (t->may_differ & STACK_POINTER) {
        align_stack_pointer(t, engine);
    }
    if (run_control_leaves(&t->run, engine, t->may_differ & MASKS)) {
        t->current = NULL;
        t->expected = start;
        return;
    }
    t->may_differ = 0;
    if (!enter(t, engine, edge, start, size, NO_IT)) {
        t->run.emu_stop(engine);
    }
}

/* Called before an IT whose outcome matters, and where the address of a load or store can be told
 * that could not before: from here on the block's cost depends on it. */
void timing_on_cut(void *engine, uint64_t address, uint32_t size, void *context) {
    timing_t *t = context;
    node_t *node = t->current;
    uint32_t start = (uint32_t)address;
    (void)size;
    if (!node || node->end != start || node->end == node->address + node->size) {
        return;
    }
    uint32_t outcome = NO_IT;
    if (node->condition != ALWAYS) {
        uint32_t flags = 0;
        t->read_register(engine, t->flags_id, &flags);
        outcome = holds(node->condition, flags) ? CONDITION_HOLDS : CONDITION_FAILS;
    }
    uint32_t rest = node->address + node->size - start;
    if (!enter(t, engine, settle(t, start), start, rest, outcome)) {
        t->run.emu_stop(engine);
    }
}

/* Called before an instruction from which an address can be told that could not before. */
void timing_on_point(void *engine, uint64_t address, uint32_t size, void *context) {
    const point_t *point = context;
    timing_t *t = point->owner;
    (void)address;
    (void)size;
    uint32_t suspect =
        checks_find(&t->checks, point->first_check, point->checks, t->read_register, engine);
    if (suspect) {
        t->suspect = suspect;
        t->run.emu_stop(engine);
    }
}

/* address translation and data reads of flash */

enum { UNICORN_READ = 16, UNICORN_WRITE = 17 };
enum { MAY_READ = 1, MAY_WRITE = 2, MAY_EXECUTE = 4 };
/* Where the counters are, and only there does it matter which instruction asks: finding that out
 * costs an address translation for each access. */
enum { PRIVATE_PERIPHERALS = 0xE0000000 };

typedef struct {
    uint64_t address;
    int permissions;
} translation_t;

/* Have a page of code looked through; one of flash, which only timing_invalidate changes, once: its
 * address is translated for every access to a device. */
static void prepare(timing_t *t, uint32_t page) {
    uint32_t offset = page - t->flash_base;
    if (offset < t->flash_bytes) {
        uint8_t *prepared = &t->prepared[offset / PAGE_BYTES];
        if (*prepared) {
            return;
        }
        *prepared = 1;
    }
    t->prepare(page);
}

/*
 * Every address stands for itself, and the memory map says what may be done there; only data reads
 * of flash go to an alias, whose accesses call timing_read_flash. A page of flash is therefore
 * translated anew for each kind of access, and a page of a device for each block, which tells the
 * instruction: Unicorn's pc is exact here and nowhere else on the way to a device.
 */
bool timing_translate(void *engine, uint64_t address, int kind, translation_t *result,
                      void *context) {
    timing_t *t = context;
    uint32_t page = (uint32_t)address;
    if (kind == UNICORN_READ || kind == UNICORN_WRITE) {
        /* Unicorn (2.1.4) has just set the state of an IT block as of this instruction, for the
         * case of a fault, and would leave it there for whatever block runs next. */
        static const uint32_t outside_it = 1u << 24;
        t->write_register(engine, t->execution_state_id, &outside_it);
    }
    result->address = address;
    result->permissions = MAY_READ | MAY_WRITE;
    uint32_t offset = page - t->flash_base;
    if (offset >= t->flash_bytes && page - t->boot_alias < t->flash_bytes) {
        offset = page - t->boot_alias;
    }
    if (kind != UNICORN_READ && kind != UNICORN_WRITE) {
        prepare(t, page);
        result->permissions = offset < t->flash_bytes && t->sees_data
                                  ? MAY_EXECUTE
                                  : MAY_READ | MAY_WRITE | MAY_EXECUTE;
    } else if (offset < t->flash_bytes && t->sees_data) {
        if (kind == UNICORN_READ) {
            result->address = t->flash_alias + offset;
            result->permissions = MAY_READ;
        } else {
            result->permissions = MAY_WRITE;
        }
    } else if (page >= PRIVATE_PERIPHERALS) {
        t->read_register(engine, t->pc_id, &t->access_pc);
        t->flush_wanted = 1;
    }
    return true;
}

/* Have the next access of a device say anew which instruction makes it. */
void timing_forget_translations(timing_t *t, void *engine) {
    t->control(engine, t->flush_translations);
}

uint64_t timing_read_flash(void *engine, uint64_t offset, unsigned size, void *context) {
    timing_t *t = context;
    size_t page = offset / PAGE_BYTES;
    if (!t->shadow_valid[page]) {
        t->read_memory(engine, t->flash_base + page * PAGE_BYTES, &t->shadow[page * PAGE_BYTES],
                       PAGE_BYTES);
        t->shadow_valid[page] = 1;
    }
    read_data_line(t, (uint32_t)((t->flash_base + offset) >> t->line_shift));
    uint64_t value = 0;
    memcpy(&value, &t->shadow[offset], size);
    return value;
}
