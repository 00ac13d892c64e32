/* What a chip provides to the runtime: `firmware/chips/<chip>` implements it. */
#ifndef HIL_PORT_H
#define HIL_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime_limits.h"

/* Line errors since reset. */
typedef struct {
    uint32_t overruns; /* a byte came before the one ahead of it was read */
    uint32_t framing;  /* a stop bit was missing, or the line was noisy */
} port_errors_t;

/* Start the clocks, and listen on the board's serial ports at its baud rate. Returns 0, or what of
 * the chip never came, one of LINK_START_...: nothing but reporting it may be tried then.
 *
 * No pin drives a line yet, but where the board has one port alone, or was talked to on one before
 * the reset. */
uint32_t port_open(void);
bool port_is_open(void); /* whether anything can be sent: a port is talked on, at its speed */

uint32_t port_listen(uint8_t *byte); /* sleeps until a byte has come on any port; returns which */
uint32_t port_talks_on(void);        /* the port that is talked on; none of them before any */
void port_talk_on(uint32_t port);    /* send there from now on; a port before it falls silent */
void port_settle(void);              /* listen on no other port any more */

bool port_reaches(uint32_t baud);  /* whether it can be used; none above the board's */
void port_use_baud(uint32_t baud); /* from now on, both ways, on the port that is talked on */

uint8_t port_receive(void); /* sleeps until a byte has come on the port that is talked on */
void port_send(uint8_t byte);
void port_drain(void); /* returns when the last byte has left the wire */
port_errors_t port_errors(void);

/* Empty the caches. What they hold after a wait depends on how long it was; cycle counts must not.
 */
void port_empty_caches(void);

#endif
