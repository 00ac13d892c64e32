/* Finds the serial port on which somebody talks to the board. */
#ifndef HIL_GREET_H
#define HIL_GREET_H

#include <stdint.h>

/* Returns once there is a port to talk on: at once, or when a whole frame has come in on one. */
void greet_await(void);

/* The next byte on the port that is talked on. A whole frame on another makes that one the port,
 * and is answered by saying that the board has booted: whoever sent it sends it again. */
uint8_t greet_receive(void);

#endif
