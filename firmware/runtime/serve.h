/* Answers the host's requests. */
#ifndef HIL_SERVE_H
#define HIL_SERVE_H

#include <stdbool.h>
#include <stdint.h>

/* Says that the firmware has booted. `cycles_count`: whether cycles_now() does. */
void serve_start(bool cycles_count);

void serve_booted(void);     /* says so again, to somebody who may not have heard */
bool serve_is_greeted(void); /* since the reset */

void serve_byte(uint8_t byte); /* one byte of the link; answers where it completes a request */

#endif
