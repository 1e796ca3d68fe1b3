#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

// Slicing by one table of 256 words is enough: this path runs only on processors without SSE 4.2.
static uint32_t crc_table[256];
static pthread_once_t crc_once = PTHREAD_ONCE_INIT;

static void crc_fill(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (0x82f63b78u & (0u - (c & 1u)));
    crc_table[i] = c;
  }
}

uint32_t csystem_crc32c_portable(uint32_t crc, const void *bytes, size_t size) {
  pthread_once(&crc_once, crc_fill);
  const uint8_t *p = bytes;
  uint32_t c = ~crc;
  while (size--) c = crc_table[(c ^ *p++) & 255] ^ (c >> 8);
  return ~c;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
// The instruction takes three cycles and one can begin in each: three streams at once are nearly three times as fast.
// A register that runs through `stream` zero bytes changes by a linear map, kept as four tables of 256 words: with it
// the sums of neighbouring streams become the sum of all.
enum { stream = 336 };
static uint32_t crc_skip[4][256];

static void crc_fill_skip(void) {
  pthread_once(&crc_once, crc_fill);
  for (int byte = 0; byte < 4; byte++) {
    for (int bit = 0; bit < 8; bit++) {
      uint32_t c = (uint32_t)1 << (8 * byte + bit);
      for (int n = 0; n < stream; n++) c = crc_table[c & 255] ^ (c >> 8);
      crc_skip[byte][1 << bit] = c;
    }
    // The map is linear: what is not a power of two is a sum of them.
    for (uint32_t i = 1; i < 256; i++) crc_skip[byte][i] = crc_skip[byte][i & (i - 1)] ^ crc_skip[byte][i & -i];
  }
}

static inline uint64_t crc_behind_stream(uint64_t c) {
  return crc_skip[0][c & 255] ^ crc_skip[1][(c >> 8) & 255] ^ crc_skip[2][(c >> 16) & 255] ^ crc_skip[3][c >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const void *bytes, size_t size) {
  const uint8_t *p = bytes;
  uint64_t c = (uint32_t)~crc;
  for (; size >= 3 * stream; size -= 3 * stream, p += 3 * stream) {
    uint64_t second = 0, third = 0;
    for (int i = 0; i < stream; i += 8) {
      uint64_t words[3];
      memcpy(&words[0], p + i, 8);
      memcpy(&words[1], p + stream + i, 8);
      memcpy(&words[2], p + 2 * stream + i, 8);
      c = _mm_crc32_u64(c, words[0]);
      second = _mm_crc32_u64(second, words[1]);
      third = _mm_crc32_u64(third, words[2]);
    }
    c = crc_behind_stream(crc_behind_stream(c) ^ second) ^ third;
  }
  for (; size >= 8; size -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    c = _mm_crc32_u64(c, word);
  }
  for (; size; size--) c = _mm_crc32_u8((uint32_t)c, *p++);
  return ~(uint32_t)c;
}

uint32_t csystem_crc32c(uint32_t crc, const void *bytes, size_t size) {
  static int has = -1;
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  int known = __atomic_load_n(&has, __ATOMIC_ACQUIRE);
  if (known < 0) {
    pthread_once(&once, crc_fill_skip);
    known = __builtin_cpu_supports("sse4.2") ? 1 : 0;
    __atomic_store_n(&has, known, __ATOMIC_RELEASE);
  }
  return known ? crc_hardware(crc, bytes, size) : csystem_crc32c_portable(crc, bytes, size);
}
#else
uint32_t csystem_crc32c(uint32_t crc, const void *bytes, size_t size) {
  return csystem_crc32c_portable(crc, bytes, size);
}
#endif

int csystem_start_writeback(int descriptor, uint64_t offset, uint64_t size) {
  return sync_file_range(descriptor, (off64_t)offset, (off64_t)size, SYNC_FILE_RANGE_WRITE) == 0 ? 0 : errno;
}

// A host may run out of descriptors for a moment, while a store is in the middle of something: a log that cannot begin
// its next segment stops. So some are kept, and given up for a file that must be opened then. Who closes a file turns
// its descriptor into a spare again, by a call that leaves no moment in which others could take it.
enum { spare_limit = 4 };
static atomic_int spares[spare_limit]; // descriptors; 0: given up, or not wanted
static atomic_int spare_count;         // how many are wanted
static int spare_source = -1;          // what they are copies of; -1: there are none
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;

static void fill_spares(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < 128) return;
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int source = null < 0 ? -1 : fcntl(null, F_DUPFD_CLOEXEC, 3);
  if (null >= 0) close(null);
  if (source < 0) return;
  spare_source = source;
  for (int i = 0; i < spare_limit; i++) {
    int spare = fcntl(source, F_DUPFD_CLOEXEC, 3);
    if (spare > 0) atomic_store(&spares[i], spare);
  }
  atomic_store(&spare_count, spare_limit);
}

void csystem_keep_spares(void) { pthread_once(&spare_once, fill_spares); }

void csystem_refill_spares(void) {
  if (atomic_load(&spare_count) == 0) return;
  for (int i = 0; i < spare_limit; i++) {
    int none = 0;
    if (atomic_load(&spares[i]) != 0 || !atomic_compare_exchange_strong(&spares[i], &none, -1)) continue;
    int spare = fcntl(spare_source, F_DUPFD_CLOEXEC, 3);
    atomic_store(&spares[i], spare > 0 ? spare : 0);
    if (spare <= 0) return;
  }
}

static int give_up_spare(void) {
  for (int i = 0; i < spare_limit; i++) {
    int spare = atomic_exchange(&spares[i], 0);
    if (spare > 0 && close(spare) == 0) return 1;
  }
  return 0;
}

void csystem_close(int descriptor) {
  if (atomic_load(&spare_count) > 0) {
    for (int i = 0; i < spare_limit; i++) {
      int none = 0;
      if (atomic_load(&spares[i]) != 0 || !atomic_compare_exchange_strong(&spares[i], &none, -1)) continue;
      int is_spare = dup3(spare_source, descriptor, O_CLOEXEC) == descriptor;
      atomic_store(&spares[i], is_spare ? descriptor : 0);
      if (is_spare) return;
      break;
    }
  }
  close(descriptor);
}

int csystem_open_at(int directory, const char *path, int flags, unsigned mode) {
  int descriptor;
  do {
    descriptor = openat(directory, path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
    if (descriptor >= 0) break;
  } while (errno == EINTR || ((errno == EMFILE || errno == ENFILE) && give_up_spare()));
  if (descriptor < 0 || descriptor > 2) return descriptor;
  int above;
  do {
    above = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  } while (above < 0 && errno == EMFILE && give_up_spare());
  int failure = errno;
  close(descriptor);
  errno = failure;
  return above;
}

// A lock of flock belongs to the open file, which a forked child has too: the child would keep it for as long as it
// lives. So it closes its copies, which takes nothing from its parent, and who unlocks does not rely on closing.
static pthread_mutex_t locks_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t locks_once = PTHREAD_ONCE_INIT;
static int *locks;
static size_t lock_count, lock_capacity;

static void locks_enter(void) { pthread_mutex_lock(&locks_mutex); }

static void locks_leave(void) { pthread_mutex_unlock(&locks_mutex); }

static void locks_leave_in_child(void) {
  for (size_t i = 0; i < lock_count; i++) close(locks[i]);
  lock_count = 0;
  locks_leave();
}

static void locks_register(void) { pthread_atfork(locks_enter, locks_leave, locks_leave_in_child); }

int csystem_lock_exclusive(int descriptor) {
  pthread_once(&locks_once, locks_register);
  locks_enter();
  int code = 0;
  if (lock_count == lock_capacity) {
    size_t capacity = lock_capacity ? 2 * lock_capacity : 16;
    int *grown = realloc(locks, capacity * sizeof *locks);
    if (grown) {
      locks = grown;
      lock_capacity = capacity;
    } else {
      code = ENOMEM;
    }
  }
  if (code == 0 && flock(descriptor, LOCK_EX | LOCK_NB) != 0) code = errno;
  if (code == 0) locks[lock_count++] = descriptor;
  locks_leave();
  return code;
}

void csystem_unlock(int descriptor) {
  locks_enter();
  for (size_t i = 0; i < lock_count; i++) {
    if (locks[i] != descriptor) continue;
    locks[i] = locks[--lock_count];
    flock(descriptor, LOCK_UN);
    csystem_close(descriptor);
    break;
  }
  locks_leave();
}

void csystem_populate(void *memory, size_t size) {
  // The number is Linux 5.14's; an earlier one refuses it.
  enum { populate_write = 23, page = 4096 };
  uintptr_t start = ((uintptr_t)memory + page - 1) & ~(uintptr_t)(page - 1);
  uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(page - 1);
  if (start < end) madvise((void *)start, end - start, populate_write);
}

void csystem_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

void csystem_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

size_t csystem_count_byte(const void *bytes, size_t size, uint8_t byte) {
  const uint8_t *p = bytes;
  size_t count = 0;
  // Sixteen counters of a byte each, for as long as none can overflow: the loop inside becomes two instructions.
  while (size >= 16) {
    size_t rounds = size / 16 < 255 ? size / 16 : 255;
    uint8_t counts[16] = {0};
    for (size_t round = 0; round < rounds; round++, p += 16)
      for (int i = 0; i < 16; i++) counts[i] += p[i] == byte;
    for (int i = 0; i < 16; i++) count += counts[i];
    size -= rounds * 16;
  }
  for (; size; size--) count += *p++ == byte;
  return count;
}

// Whether all eight are below 0x80, and none of them zero.
static inline int is_plain(uint64_t word) {
  return !(word & 0x8080808080808080u) && !((word - 0x0101010101010101u) & ~word & 0x8080808080808080u);
}

// The same for a whole run of up to 64 bytes, read in words that overlap at its end. It may say no to what is plain.
static inline int is_short_and_plain(const uint8_t *p, size_t size) {
  uint64_t word;
  if (size < 8) {
    if (size < 4) return 0;
    uint32_t first, last;
    memcpy(&first, p, 4);
    memcpy(&last, p + size - 4, 4);
    return is_plain(first | (uint64_t)last << 32);
  }
  if (size > 64) return 0;
  const uint8_t *last = p + size - 8;
  for (; p < last; p += 8) {
    memcpy(&word, p, 8);
    if (!is_plain(word)) return 0;
  }
  memcpy(&word, last, 8);
  return is_plain(word);
}

int csystem_is_utf8(const void *bytes, size_t size) {
  const uint8_t *p = bytes, *end = p + size;
  if (is_short_and_plain(p, size)) return 1;
  while (p < end) {
    if (end - p >= 8) {
      uint64_t word;
      memcpy(&word, p, 8);
      if (is_plain(word)) {
        p += 8;
        continue;
      }
    }
    uint8_t b = *p;
    if (b == 0) return 0;
    if (b < 0x80) {
      p++;
      continue;
    }
    size_t more = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1;
    if (b < 0xc2 || b > 0xf4 || (size_t)(end - p) <= more) return 0;
    for (size_t i = 1; i <= more; i++)
      if ((p[i] & 0xc0) != 0x80) return 0;
    if ((b == 0xe0 && p[1] < 0xa0) || (b == 0xed && p[1] > 0x9f)) return 0;  // overlong, surrogate
    if ((b == 0xf0 && p[1] < 0x90) || (b == 0xf4 && p[1] > 0x8f)) return 0;  // overlong, above U+10FFFF
    p += more + 1;
  }
  return 1;
}
