/* One source for weights in a code and for others: they differ in how a panel comes to memory. */
#include "pointwise_panels_coded.h"

#define pointwise_panels pointwise_panels_coded
#define panels_unpack coded_unpack
#include "pointwise_panels.c" /* NOLINT(bugprone-suspicious-include) */
