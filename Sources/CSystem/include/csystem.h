// Calls that Swift's Glibc import hides or that need C: CRC32C by hardware, write-back hints, errno as a return value.
#ifndef CSYSTEM_H
#define CSYSTEM_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/// CRC32C (Castagnoli, RFC 3720 appendix B.4) of `size` bytes, going on from `crc` (0 to begin).
uint32_t csystem_crc32c(uint32_t crc, const void *bytes, size_t size);

/// The same without the processor's instruction: the reference the tests compare with.
uint32_t csystem_crc32c_portable(uint32_t crc, const void *bytes, size_t size);

/// sync_file_range(SYNC_FILE_RANGE_WRITE): begin write-back, do not wait.
int csystem_start_writeback(int descriptor, uint64_t offset, uint64_t size);

/// openat(), with a descriptor that is above 2 and closed on exec: 0 to 2 belong to whoever reads and prints in this
/// process, and may be free. A pipe, terminal or device in the place of a file is not waited for. -1 with errno set;
/// where the process has no descriptor left, not before the spare ones are used up.
int csystem_open_at(int directory, const char *path, int flags, unsigned mode);

/// Sets descriptors aside for a time when the process has none left. Once is enough; none where it may have few.
void csystem_keep_spares(void);

/// Completes the spare descriptors, as far as there are any.
void csystem_refill_spares(void);

/// close(); the descriptor stays as a spare one where these are not complete.
void csystem_close(int descriptor);

/// Takes flock(LOCK_EX | LOCK_NB); 0 or an errno. A child that is forked later does not hold the lock.
int csystem_lock_exclusive(int descriptor);

/// Gives a lock back and closes its descriptor; nothing in a process that was forked since.
void csystem_unlock(int descriptor);

/// Asks for the pages of memory that will be written: one call in place of a fault for each. They hold what they held.
void csystem_populate(void *memory, size_t size);

/// Names the calling thread (at most 15 bytes) for ps, perf and debuggers.
void csystem_name_thread(const char *name);

/// 1 when `size` bytes are well-formed UTF-8 without U+0000 (RFC 3629), else 0.
int csystem_is_utf8(const void *bytes, size_t size);

/// How many of `size` bytes are `byte`.
size_t csystem_count_byte(const void *bytes, size_t size, uint8_t byte);

/// Offset of the first `byte` among `size` bytes; `size` when there is none.
static inline size_t csystem_find_byte(const void *bytes, size_t size, uint8_t byte) {
  const uint8_t *found = (const uint8_t *)memchr(bytes, byte, size);
  return found ? (size_t)(found - (const uint8_t *)bytes) : size;
}

/// What a quoted text's scan looks for among 32 bytes; bit i stands for byte i.
typedef struct {
  /// Quotes (') and zeros.
  uint32_t stops;
  /// Bytes beyond ASCII.
  uint32_t high;
} csystem_text_marks;

/// The marks of the 32 bytes at `bytes`.
static inline csystem_text_marks csystem_mark_text(const void *bytes) {
  csystem_text_marks marks;
#if defined(__SSE2__)
  typedef char lanes __attribute__((vector_size(16)));
  lanes first, second;
  memcpy(&first, bytes, 16);
  memcpy(&second, (const char *)bytes + 16, 16);
  lanes stops = (lanes)(first == '\'') | (lanes)(first == 0);
  lanes more = (lanes)(second == '\'') | (lanes)(second == 0);
  marks.stops = (uint32_t)__builtin_ia32_pmovmskb128(stops) | (uint32_t)__builtin_ia32_pmovmskb128(more) << 16;
  marks.high = (uint32_t)__builtin_ia32_pmovmskb128(first) | (uint32_t)__builtin_ia32_pmovmskb128(second) << 16;
#else
  const uint8_t *p = (const uint8_t *)bytes;
  marks.stops = marks.high = 0;
  for (int i = 0; i < 32; i++) {
    marks.stops |= (uint32_t)(p[i] == '\'' || p[i] == 0) << i;
    marks.high |= (uint32_t)(p[i] >> 7) << i;
  }
#endif
  return marks;
}

/// Ignores SIGPIPE, so that a closed pipe is an error of write() and not the end of the process.
void csystem_ignore_sigpipe(void);

/// Maps `size` bytes of a file for reading at random places. A page that cannot be read later (the disk fails, the file
/// was cut) reads as zeros and counts as a fault instead of ending the process. Null with errno set when it cannot be
/// mapped; EAGAIN when there are 16,384 mappings already, or a quarter of what the system lets a process have. `slot`
/// names the guard for csystem_unmap.
const void *csystem_map(int descriptor, size_t size, int *slot);

/// Ends a mapping.
void csystem_unmap(const void *bytes, size_t size, int slot);

/// How many mappings there are.
int csystem_mapping_count(void);

/// How many pages of all mappings could not be read since the process began.
uint64_t csystem_mapping_faults(void);

/// Whether the mapping has had a fault.
int csystem_mapping_has_faulted(int slot);

/// A byte that several threads may write the same value to.
static inline uint8_t csystem_load_byte(const uint8_t *place) { return __atomic_load_n(place, __ATOMIC_ACQUIRE); }
static inline void csystem_store_byte(uint8_t *place, uint8_t value) {
  __atomic_store_n(place, value, __ATOMIC_RELEASE);
}

/// Asks for the cache line at an address that is read soon.
static inline void csystem_prefetch(const void *address) { __builtin_prefetch(address); }

/// memcmp, inlined into Swift.
static inline int csystem_compare(const void *a, const void *b, size_t size) { return memcmp(a, b, size); }
#endif
