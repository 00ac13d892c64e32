/* A coverage-guided fuzzer behind libFuzzer's interface, for compilers that bring none.
 *
 *     fuzz --seconds 60 --seed 1 [--runs N] [--keep FILE] [INPUT ...]
 *
 * runs LLVMFuzzerTestOneInput on damaged inputs and keeps those that reach code, or compare with
 * constants, that none before did. It is compiled without, the target with
 * -fsanitize-coverage=trace-pc,trace-cmp. An input that ends the process, or takes longer than ten
 * seconds of its time, is written to FILE. With INPUTs it runs these alone. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_set_death_callback(void (*callback)(void));
const char *__asan_default_options(void);

enum { MOST_BYTES = 4096, MOST_KEPT = 4096, EDGES = 1 << 16, OPERANDS = 256, LONGEST_S = 10 };

static uint8_t seen[EDGES], hit[EDGES];
static uint32_t touched[EDGES], touched_count, edges;
static uint64_t operands[OPERANDS];
static uint32_t operand_count;
static uint8_t input[MOST_BYTES];
static size_t input_bytes;
static uint8_t *kept[MOST_KEPT];
static size_t kept_bytes[MOST_KEPT];
static uint32_t kept_count;
static const char *keep = "fuzz-crash.bin";
static uint64_t state = 1;

const char *__asan_default_options(void) {
    return "detect_leaks=0:allocator_may_return_null=1:handle_abort=1:abort_on_error=0";
}

static void note(uintptr_t place) {
    const uint32_t edge = (uint32_t)(place * UINT64_C(0x9E3779B97F4A7C15) >> 48);
    if (hit[edge] == 0) {
        touched[touched_count++] = edge;
    }
    hit[edge] += hit[edge] < 255;
}

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
    note((uintptr_t)__builtin_return_address(0));
}

static void compared(uint64_t a, uint64_t b) {
    if (a == b) {
        return;
    }
    operands[operand_count++ % OPERANDS] = a;
    operands[operand_count++ % OPERANDS] = b;
}
#define COMPARES(bytes, type)                                                                      \
    void __sanitizer_cov_trace_cmp##bytes(type a, type b);                                         \
    void __sanitizer_cov_trace_const_cmp##bytes(type a, type b);                                   \
    void __sanitizer_cov_trace_cmp##bytes(type a, type b) {                                        \
        compared(a, b);                                                                            \
    }                                                                                              \
    void __sanitizer_cov_trace_const_cmp##bytes(type a, type b) {                                  \
        compared(a, b);                                                                            \
    }
COMPARES(1, uint8_t)
COMPARES(2, uint16_t)
COMPARES(4, uint32_t)
COMPARES(8, uint64_t)
void __sanitizer_cov_trace_cmpf(float a, float b);
void __sanitizer_cov_trace_cmpf(float a, float b) {
    (void)a, (void)b;
}
void __sanitizer_cov_trace_cmpd(double a, double b);
void __sanitizer_cov_trace_cmpd(double a, double b) {
    (void)a, (void)b;
}
void __sanitizer_cov_trace_switch(uint64_t value, void *table);
void __sanitizer_cov_trace_switch(uint64_t value, void *table) {
    const uint64_t *const cases = table;
    for (uint64_t i = 0; i < cases[0]; i++) {
        compared(value, cases[2 + i]);
    }
}

static uint32_t below(uint32_t end) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % end;
}

/* Once: what is found while this is written is not told. */
static void write_input(void) {
    static int written;
    FILE *const file = written++ ? NULL : fopen(keep, "wb");
    if (file != NULL) {
        fwrite(input, 1, input_bytes, file);
        fclose(file);
        fprintf(stderr, "fuzz: the input of %zu B is %s\n", input_bytes, keep);
    }
}

static void on_signal(int number) {
    fprintf(stderr, "fuzz: %s\n",
            number == SIGVTALRM ? "an input took too long" : strsignal(number));
    write_input();
    _exit(1);
}

/* Run the input; returns whether it reached something new: a place, or one twice as often. */
static int run(void) {
    const struct itimerval longest = {.it_value = {.tv_sec = LONGEST_S}};
    touched_count = 0;
    setitimer(ITIMER_VIRTUAL, &longest, NULL); /* of its own time: a busy machine takes none */
    LLVMFuzzerTestOneInput(input, input_bytes);
    int is_new = 0;
    for (uint32_t i = 0; i < touched_count; i++) {
        const uint32_t edge = touched[i];
        uint8_t often = 0;
        for (uint8_t count = hit[edge]; count != 0; count >>= 1) {
            often++;
        }
        hit[edge] = 0;
        if (often > seen[edge]) {
            edges += seen[edge] == 0;
            seen[edge] = often;
            is_new = 1;
        }
    }
    return is_new;
}

static void put(size_t at, const void *from, size_t count) {
    if (at < MOST_BYTES) {
        count = count < MOST_BYTES - at ? count : MOST_BYTES - at;
        memcpy(input + at, from, count);
        input_bytes = at + count > input_bytes ? at + count : input_bytes;
    }
}

static void damage(void) {
    const size_t at = below((uint32_t)input_bytes + 1);
    const uint32_t few = 1 + below(16);
    uint8_t bytes[16];
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)below(256);
    }
    switch (below(8)) {
    case 0:
        put(at, bytes, 1);
        break;
    case 1:
        if (at < input_bytes) {
            input[at] ^= (uint8_t)(1U << below(8));
        }
        break;
    case 2: /* something that the code compared with */
        put(at, &operands[below(OPERANDS)], (size_t)1 << below(3));
        break;
    case 3: /* room for a few more */
        if (input_bytes + few <= MOST_BYTES) {
            memmove(input + at + few, input + at, input_bytes - at);
            input_bytes += few;
            put(at, bytes, few);
        }
        break;
    case 4:
        if (at + few <= input_bytes) {
            memmove(input + at, input + at + few, input_bytes - at - few);
            input_bytes -= few;
        }
        break;
    case 5:
        put(at, bytes, few);
        break;
    case 6: /* a piece of another input */
        if (kept_count > 0) {
            const uint32_t other = below(kept_count);
            const size_t from = below((uint32_t)kept_bytes[other] + 1);
            const size_t most = kept_bytes[other] - from;
            put(at, kept[other] + from, below(64) < 8 ? most : (few < most ? few : most));
        }
        break;
    default:
        if (at < input_bytes) {
            input[at] = (uint8_t)(input[at] + below(9) - 4);
        }
    }
}

static void keep_input(void) {
    const uint32_t at = kept_count < MOST_KEPT ? kept_count++ : below(MOST_KEPT);
    free(kept[at]);
    kept[at] = malloc(input_bytes + 1);
    if (kept[at] == NULL) {
        exit(2);
    }
    memcpy(kept[at], input, input_bytes);
    kept_bytes[at] = input_bytes;
}

static int replay(const char *path) {
    FILE *const file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 2;
    }
    input_bytes = fread(input, 1, sizeof input, file);
    fclose(file);
    run();
    printf("%s: %zu B, nothing found\n", path, input_bytes);
    return 0;
}

int main(int count, char **words) {
    double seconds = 1e9;
    uint64_t runs = UINT64_MAX, done = 0;
    int at = 1;
    for (; at + 1 < count && strncmp(words[at], "--", 2) == 0; at += 2) {
        const char *const value = words[at + 1];
        if (strcmp(words[at], "--seconds") == 0) {
            seconds = strtod(value, NULL);
        } else if (strcmp(words[at], "--runs") == 0) {
            runs = strtoull(value, NULL, 10);
        } else if (strcmp(words[at], "--seed") == 0) {
            state = strtoull(value, NULL, 10) * 2 + 1;
        } else if (strcmp(words[at], "--keep") == 0) {
            keep = value;
        } else {
            fprintf(stderr, "fuzz: no option %s\n", words[at]);
            return 2;
        }
    }
    __sanitizer_set_death_callback(write_input);
    signal(SIGVTALRM, on_signal);
    if (at < count) {
        return replay(words[at]);
    }
    const time_t began = time(NULL);
    for (int i = 0; i < 64; i++) { /* so that the generator's first values differ by seed */
        below(2);
    }
    for (; done < runs && difftime(time(NULL), began) < seconds; done++) {
        input_bytes = 0;
        if (kept_count > 0) {
            const uint32_t from = below(kept_count);
            put(0, kept[from], kept_bytes[from]);
        }
        for (uint32_t times = 1 + below(8); times > 0; times--) {
            damage();
        }
        if (run()) {
            keep_input();
        }
    }
    printf("%llu runs, %u places reached, %u inputs kept, nothing found\n",
           (unsigned long long)done, edges, kept_count);
    return 0;
}
