/* One source for weights in a code and for others: they differ in how a panel comes to memory. */
#include "expand_filter_coded.h"

#define expand_filter expand_filter_coded
#define panels_unpack coded_unpack
#include "expand_filter.c" /* NOLINT(bugprone-suspicious-include) */
