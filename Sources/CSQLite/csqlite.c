/* Keeps the one pointer to SQLite's routine table. */
#include "csqlite.h"

const sqlite3_api_routines *sx_api;
const char sx_empty[1] = {0};

int sx_set_api(const sqlite3_api_routines *api, char **message) {
  if (api == NULL) return SQLITE_ERROR;
  if (api->libversion_number() < SX_LOWEST_VERSION) {
    if (message != NULL) {
      *message = api->mprintf("SQLite %s is too old: %d.%d.%d or later is needed", api->libversion(),
                              SX_LOWEST_VERSION / 1000000, SX_LOWEST_VERSION / 1000 % 1000, SX_LOWEST_VERSION % 1000);
    }
    return SQLITE_ERROR;
  }
  const sqlite3_api_routines *none = NULL;
  __atomic_compare_exchange_n(&sx_api, &none, api, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
  return SQLITE_OK;
}

int sx_ready(void) {
  if (__atomic_load_n(&sx_api, __ATOMIC_ACQUIRE) != NULL) return SQLITE_OK;
  return sx_host_bootstrap ? sx_host_bootstrap() : SQLITE_ERROR;
}

/* The outer ones first: files, initialisation, page cache, randomness, memory. */
static const int shared[] = {SQLITE_MUTEX_STATIC_VFS1, SQLITE_MUTEX_STATIC_MAIN, SQLITE_MUTEX_STATIC_OPEN,
                             SQLITE_MUTEX_STATIC_LRU,  SQLITE_MUTEX_STATIC_PRNG, SQLITE_MUTEX_STATIC_PMEM,
                             SQLITE_MUTEX_STATIC_MEM};
enum { shared_count = sizeof(shared) / sizeof(shared[0]) };

void sx_enter_shared_mutexes(void) {
  for (int i = 0; i < shared_count; i++) sx_api->mutex_enter(sx_api->mutex_alloc(shared[i]));
}

void sx_leave_shared_mutexes(void) {
  for (int i = shared_count; i > 0; i--) sx_api->mutex_leave(sx_api->mutex_alloc(shared[i - 1]));
}

int sx_read_wal_index(sqlite3 *db, sx_wal_index *index) {
  enum { header = 48, region = 32768, version = 3007000 };
  sqlite3_file *file = NULL;
  if (sx_api->file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || file == NULL ||
      file->pMethods == NULL || file->pMethods->iVersion < 2 || file->pMethods->xShmMap == NULL) {
    return SQLITE_NOTFOUND;
  }
  void volatile *memory = NULL;
  int code = file->pMethods->xShmMap(file, 0, region, 0, &memory);
  if (code != SQLITE_OK) return code;
  if (memory == NULL) return SQLITE_NOTFOUND;
  const uint32_t volatile *words = memory;
  if (words[0] != version) return SQLITE_NOTFOUND;
  index->changes = words[2];
  index->frames = words[4];
  index->moved = words[2 * header / 4];
  for (int i = 0; i < 5; i++) index->marks[i] = words[2 * header / 4 + 1 + i];
  return SQLITE_OK;
}
