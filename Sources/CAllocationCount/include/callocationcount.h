// Counts allocations: linked into a test program, it stands in front of glibc's malloc.
#ifndef CALLOCATIONCOUNT_H
#define CALLOCATIONCOUNT_H
#include <stdint.h>

/// How often the calling thread has asked for memory since it began: malloc, calloc, realloc, aligned_alloc,
/// posix_memalign, memalign.
uint64_t callocationcount_of_thread(void);
#endif
