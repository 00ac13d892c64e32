/* One layer of a network, computed by a kernel of others and timed from mark to mark. The harness
 * fills `work` in once `main` is reached, and reads the output from memory. */
#include "peer.h"

work_t work;

__attribute__((noinline)) void work_begin(void) {
    __asm__ volatile("" ::: "memory");
}
__attribute__((noinline)) void work_end(void) {
    __asm__ volatile("" ::: "memory");
}

int main(void) {
    work.status = peer_prepare(&work);
    work_begin();
    if (work.status == 0) {
        work.status = peer_compute(&work);
    }
    work_end();
    for (;;) {
    }
}
