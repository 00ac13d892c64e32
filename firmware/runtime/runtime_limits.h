/* What the runtime has room for, and what room it takes. The compiler and the linker script get
 * their numbers from this file, one `NAME = number,` a line: hil/limits.py. */
#ifndef HIL_RUNTIME_LIMITS_H
#define HIL_RUNTIME_LIMITS_H

enum {
    MODEL_MOST_LAYERS = 128,    /* whose cycles are counted */
    PORT_MOST = 4,              /* serial ports of a board that are listened to */
    STREAM_MOST_OUTPUTS = 4,    /* of a step that runs row by row */
    RUNTIME_STACK_BYTES = 5120, /* reserved by the linker script */
    RUNTIME_RAM_BYTES = 8192,   /* at most: stack, frames and other static data */
    RUNTIME_FLASH_BYTES = 9728, /* at most: the runtime without stream.c */
};

#endif
