/* What a chip provides to the runtime: `firmware/chips/<chip>` implements it. */
#ifndef HIL_PORT_H
#define HIL_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* Line errors since reset. */
typedef struct {
    uint32_t overruns; /* a byte came before the one ahead of it was read */
    uint32_t framing;  /* a stop bit was missing, or the line was noisy */
} port_errors_t;

/* Start the clocks, and the link's serial port at the board's baud rate. Returns 0, or what of the
 * chip never came, one of LINK_START_...: nothing but reporting it may be tried then. */
uint32_t port_open(void);
bool port_is_open(void);    /* false so early after reset that nothing can be sent */
uint8_t port_receive(void); /* sleeps until a byte has come */
void port_send(uint8_t byte);
void port_drain(void); /* returns when the last byte has left the wire */
port_errors_t port_errors(void);

/* Empty the caches. What they hold after a wait depends on how long it was; cycle counts must not.
 */
void port_empty_caches(void);

#endif
