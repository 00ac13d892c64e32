/* One source for both widths: they differ in the type of an output. */
#include "heads_int16.h"

typedef int16_t heads_y_t;
#define HEADS_INT16
#define heads_rows heads_int16_rows
#include "heads.c" /* NOLINT(bugprone-suspicious-include) */
