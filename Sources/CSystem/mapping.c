// File mappings that survive a page that cannot be read.
//
// Touching such a page raises SIGBUS. The handler puts a page of zeros in its place and counts; the code that touched
// it goes on, finds the count changed, and reports an error. A fault elsewhere in the process is left to whoever
// handled SIGBUS before.
//
// The system has a bound on the mappings of a process, and whoever reaches it cannot even allocate memory any more. So
// a quarter of it is used here at most, and no more than there are guards; what is not mapped is read by calls.
#define _GNU_SOURCE
#include "csystem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { guard_limit = 16384, usual_system_limit = 65530 };
struct guard {
  uintptr_t start;
  uintptr_t end;
  uint64_t faults;
};
static struct guard guards[guard_limit];
static int guard_count;
// Under the mutex: mappings that are there, and as many as there may be.
static int mapping_count;
static int mapping_limit = guard_limit;
static uint64_t fault_count;
static uintptr_t page_size;
static struct sigaction previous;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void handle(int signal, siginfo_t *info, void *context) {
  int saved = errno;
  uintptr_t address = (uintptr_t)info->si_addr;
  int count = __atomic_load_n(&guard_count, __ATOMIC_ACQUIRE);
  for (int i = 0; i < count; i++) {
    uintptr_t start = __atomic_load_n(&guards[i].start, __ATOMIC_ACQUIRE);
    if (start == 0 || address < start || address >= __atomic_load_n(&guards[i].end, __ATOMIC_ACQUIRE)) continue;
    void *page = (void *)(address & ~(page_size - 1));
    if (mmap(page, page_size, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
    __atomic_fetch_add(&guards[i].faults, 1, __ATOMIC_RELEASE);
    __atomic_fetch_add(&fault_count, 1, __ATOMIC_RELEASE);
    errno = saved;
    return;
  }
  // Not ours: the instruction runs again under the handler that was there before.
  sigaction(signal, &previous, NULL);
  errno = saved;
  (void)context;
}

static void install(void) {
  page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct sigaction action = {0};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous);
  long system_limit = usual_system_limit;
  FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
  if (file) {
    if (fscanf(file, "%ld", &system_limit) != 1) system_limit = usual_system_limit;
    fclose(file);
  }
  if (system_limit / 4 < mapping_limit) mapping_limit = (int)(system_limit / 4);
}

static int take_turn(void) {
  pthread_mutex_lock(&mutex);
  int may = mapping_count < mapping_limit;
  mapping_count += may;
  pthread_mutex_unlock(&mutex);
  return may;
}

static void give_turn_back(void) {
  pthread_mutex_lock(&mutex);
  mapping_count--;
  pthread_mutex_unlock(&mutex);
}

static int take_guard(uintptr_t start, size_t size) {
  pthread_mutex_lock(&mutex);
  int slot = 0;
  while (slot < guard_count && guards[slot].start != 0) slot++;
  if (slot == guard_limit) {
    slot = -1;
  } else {
    __atomic_store_n(&guards[slot].faults, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&guards[slot].end, start + ((size + page_size - 1) & ~(page_size - 1)), __ATOMIC_RELEASE);
    __atomic_store_n(&guards[slot].start, start, __ATOMIC_RELEASE);
    if (slot == guard_count) __atomic_store_n(&guard_count, slot + 1, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&mutex);
  return slot;
}

const void *csystem_map(int descriptor, size_t size, int *slot) {
  pthread_once(&once, install);
  if (!take_turn()) {
    errno = EAGAIN;
    return NULL;
  }
  void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (bytes == MAP_FAILED) {
    give_turn_back();
    return NULL;
  }
  // Read-ahead would bring in what a point read does not ask for. Without the advice the mapping works too.
  (void)madvise(bytes, size, MADV_RANDOM);
  *slot = take_guard((uintptr_t)bytes, size);
  if (*slot >= 0) return bytes;
  munmap(bytes, size);
  give_turn_back();
  errno = EAGAIN;
  return NULL;
}

void csystem_unmap(const void *bytes, size_t size, int slot) {
  munmap((void *)(uintptr_t)bytes, size);
  __atomic_store_n(&guards[slot].start, 0, __ATOMIC_RELEASE);
  give_turn_back();
}

int csystem_mapping_count(void) {
  pthread_mutex_lock(&mutex);
  int count = mapping_count;
  pthread_mutex_unlock(&mutex);
  return count;
}

uint64_t csystem_mapping_faults(void) { return __atomic_load_n(&fault_count, __ATOMIC_ACQUIRE); }

int csystem_mapping_has_faulted(int slot) { return __atomic_load_n(&guards[slot].faults, __ATOMIC_ACQUIRE) != 0; }
