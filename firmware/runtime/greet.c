#include "greet.h"

#include "link.h"
#include "port.h"
#include "serve.h"

static link_watch_t heard[PORT_MOST];

/* Sleeps until a byte has come; returns its port, which is talked on from now on if it was the last
 * of a whole frame. */
static uint32_t mind(uint8_t *byte) {
    const uint32_t port = port_listen(byte);
    if (port != port_talks_on() && link_overhear(&heard[port], *byte) == LINK_FRAME) {
        port_talk_on(port);
    }
    return port;
}

void greet_await(void) {
    uint8_t byte;
    while (!port_is_open()) {
        mind(&byte);
    }
}

uint8_t greet_receive(void) {
    for (;;) {
        const uint32_t before = port_talks_on();
        uint8_t byte;
        if (mind(&byte) == before) {
            return byte;
        }
        if (port_talks_on() != before) {
            serve_booted();
        }
    }
}
