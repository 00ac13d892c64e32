/* A stand-in for an MLPerf Tiny image: an STM32L4+ on its 4 MHz, LPUART1 on PG7 and PG8, TIM5 for
 * microseconds. An inference is a loop of LOOPS turns of three cycles. As in ST's images, a byte
 * that comes before the firmware waits for one ends it, unless it is PATIENT. */
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define LOOPS 4000u
#define MOST 128u

static char line[MOST];
static uint32_t wanted, loaded;

static int waiting(void) {
    return (REGISTER(0x4000801Cu) >> 5 & 1u) != 0;
}

static void put(const char *text) {
    for (; *text; text++) {
        while ((REGISTER(0x4000801Cu) >> 7 & 1u) == 0) {
        }
        REGISTER(0x40008028u) = (uint8_t)*text;
    }
}

static void put_number(uint32_t value) {
    char digits[12], *at = digits + 11;
    *at = 0;
    do {
        *--at = (char)('0' + value % 10u);
        value /= 10u;
    } while (value);
    put(at);
}

static uint32_t number(const char **at) {
    uint32_t value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        value = value * 10u + (uint32_t)(**at - '0');
    }
    return value;
}

static int begins(const char *with) {
    const char *at = line;
    while (*with && *at == *with) {
        at++;
        with++;
    }
    return *with == 0;
}

static void lap(void) {
    put("m-lap-us-");
    put_number(REGISTER(0x40000C24u));
    put("\r\n");
}

static void infer(const char *at) {
    uint32_t inferences = number(&at);
    at++;
    put("m-warmup-start-");
    put_number(number(&at));
    put("\r\nm-warmup-done\r\nm-infer-start-");
    put_number(inferences);
    put("\r\n");
    lap();
    for (; inferences; inferences--) {
        __asm__ volatile("mov r0, %0\n.balign 4\n1: subs r0, #1\n bne 1b" ::"r"(LOOPS)
                         : "r0", "cc");
    }
    lap();
    put("m-infer-done\r\nm-results-[0.25,0.75]\r\n");
}

static void load(const char *at) {
    if (begins("db load ")) {
        at = line + 8;
        wanted = number(&at);
        loaded = 0;
        put("m-[Expecting ");
        put_number(wanted);
        put(" bytes]\r\n");
        return;
    }
    while (*at++) {
        loaded++;
    }
    if (loaded == 2u * wanted) {
        put("m-load-done\r\n");
    }
}

static void answer(void) {
    if (begins("name")) {
        put("m-name-dut-[stand-in]\r\n");
    } else if (begins("profile")) {
        put("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[kws01]\r\n");
    } else if (begins("db ")) {
        load(line + 3);
    } else if (begins("infer ")) {
        infer(line + 6);
    } else {
        put("e-[Unknown command]\r\n");
    }
}

static void ready(void) {
    put("m-ready\r\n");
    for (volatile uint32_t turns = 0; turns < 20u; turns++) {
    }
#ifndef PATIENT
    if (waiting()) {
        for (;;) { /* the handle was locked still */
        }
    }
#endif
}

__attribute__((noreturn, used)) void start(void) {
    REGISTER(0x4002104Cu) = 1u << 6;
    REGISTER(0x40021058u) = 1u << 3;
    REGISTER(0x4002105Cu) = 1u;
    REGISTER(0x48001820u) = 0x80000000u;
    REGISTER(0x48001824u) = 8u;
    REGISTER(0x48001800u) = 0xFFFEBFFFu;
    REGISTER(0x4000800Cu) = 0x22B9u; /* 115,200 baud at 4 MHz */
    REGISTER(0x40008000u) = 0xDu;
    REGISTER(0x40000C28u) = 3u; /* a count a microsecond */
    REGISTER(0x40000C14u) = 1u;
    REGISTER(0x40000C00u) = 1u;
    loaded = wanted = 0;
    put("m-init-done\r\n");
    ready();
    for (uint32_t at = 0;;) {
        while (!waiting()) {
        }
        const char byte = (char)REGISTER(0x40008024u);
        if (byte == '%') {
            line[at] = 0;
            answer();
            ready();
            at = 0;
        } else if (at < MOST - 1u) {
            line[at++] = byte;
        }
    }
}

__attribute__((section(".vectors"), used)) const struct {
    uint32_t stack;
    void (*start)(void);
} vectors = {0x20010000u, start};
