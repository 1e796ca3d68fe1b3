// Counts allocations: linked into a test program, it stands in front of glibc's malloc.
#ifndef CALLOCATIONCOUNT_H
#define CALLOCATIONCOUNT_H
#include <stdbool.h>
#include <stdint.h>

/// How often the calling thread has asked for memory since it began: malloc, calloc, realloc, aligned_alloc,
/// posix_memalign, memalign.
uint64_t callocationcount_of_thread(void);

/// Whether this build counts: not with a sanitizer.
bool callocationcount_counts(void);
#endif
