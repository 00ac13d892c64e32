/* Exceptions that should not happen: recorded, told over the link, then the chip resets. */
#ifndef HIL_FAULTS_H
#define HIL_FAULTS_H

#include <stdbool.h>

#include "link_messages.h"

void fault_taken(void); /* the handler of every exception but reset */

/* Tells, as a fault, what of the chip never came after reset: one of LINK_START_... */
void fault_at_start(uint32_t missing) __attribute__((noreturn));

void faults_trap(void); /* once after reset; makes division by zero one of them */

/* The fault that ended the last life of the firmware, NULL where none did or it was forgotten. */
const link_fault_t *fault_recorded(void);
void fault_forget(void);

#if defined(HIL_CONTRACTS)
const char *fault_note(void); /* the contract that was broken; empty where the fault was another */
#endif

/* The record as a report. */
static inline void fault_pack(link_report_t *report, const link_fault_t *fault) {
    link_fault_pack(report, fault);
#if defined(HIL_CONTRACTS)
    report->tail = (const uint8_t *)fault_note();
    report->tail_bytes = link_text_bytes(fault_note());
#endif
}

#endif
