/* What kernels of others need of <stdlib.h>: its types. */
#ifndef STDLIB_H
#define STDLIB_H
#include <stddef.h>
#endif
