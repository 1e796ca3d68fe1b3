/* A SQLite VFS that keeps a checksum in each page of a main database file, in the last 8 bytes, which SQLite leaves
   free when a database has 8 reserved bytes a page (https://sqlite.org/fileformat2.html, 1.3.4):

     0  4  CRC32C over the page up to here, beginning with the page's number
     4  4  the same, inverted

   in the machine's byte order. It is put in when a page goes into the file and looked at when one is read from there;
   a page that does not fit is SQLITE_IOERR_DATA. Pages of zeros, which a file grows by, are in order. The write-ahead
   log is left alone: its frames have checksums of their own by then. Databases without reserved bytes are, too.

   Programs that use another VFS read such a database as any other. A page that one of them writes into the file itself
   has no checksum, so it is found to be damaged. So that none of them copies pages there from the write-ahead log,
   which it may do at any time and at no fault, a connection can keep the lock of who does so for itself: to the others
   it looks as if somebody was always at it. What they commit goes into the log, as before.

   What goes wrong with a temporary file, which may lie on another disk, is nothing about the database: SQLITE_IOERR,
   SQLITE_CANTOPEN and SQLITE_FULL become SQLITE_IOERR and SQLITE_FULL with an extension of their own. */
#include <string.h>
#include "csqlite.h"

enum { sum_size = 8 };

typedef struct pages_file {
  sqlite3_file base;
  sqlite3_file *real;
  int page_size; /* 0: no page of this file has a sum */
  uint8_t *copy; /* a page on its way into the file */
  int keeps_checkpoints; /* whether the lock of checkpoints stays once it was taken */
  int has_checkpoints;   /* whether it is held */
} pages_file;

static sqlite3_vfs pages_vfs;
static sx_page_sum sum_of;

static pages_file *mine(sqlite3_file *file) { return (pages_file *)file; }
static sqlite3_file *real(sqlite3_file *file) { return ((pages_file *)file)->real; }

/* Learns from the head of the file whether its pages have sums, and how large they are. */
static void learn(pages_file *file, const uint8_t *head) {
  int size = head[16] << 8 | head[17];
  if (size == 1) size = 65536;
  int is_database = memcmp(head, "SQLite format 3", 16) == 0 && size >= 512 && (size & (size - 1)) == 0;
  size = is_database && head[20] == sum_size ? size : 0;
  if (size == file->page_size) return;
  sx_api->free(file->copy);
  file->copy = NULL;
  file->page_size = size;
}

static uint32_t sum(const uint8_t *page, int size, int64_t offset) {
  uint64_t number = (uint64_t)(offset / size) + 1;
  return sum_of(sum_of(0, &number, sizeof number), page, (size_t)(size - sum_size));
}

static int is_page(const pages_file *file, int size, int64_t offset) {
  return file->page_size > 0 && size == file->page_size && offset % size == 0;
}

static int pages_read(sqlite3_file *base, void *bytes, int size, sqlite3_int64 offset) {
  pages_file *file = mine(base);
  int code = file->real->pMethods->xRead(file->real, bytes, size, offset);
  if (code != SQLITE_OK) return code;
  if (offset == 0 && size >= 100) learn(file, bytes);
  if (!is_page(file, size, offset)) return SQLITE_OK;
  uint32_t found[2];
  memcpy(found, (uint8_t *)bytes + size - sum_size, sum_size);
  if (found[0] == ~found[1] && found[0] == sum(bytes, size, offset)) return SQLITE_OK;
  const uint8_t *page = bytes;
  if (page[0] == 0 && memcmp(page, page + 1, (size_t)size - 1) == 0) return SQLITE_OK;
  return SQLITE_IOERR_DATA;
}

static int pages_write(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 offset) {
  pages_file *file = mine(base);
  if (offset == 0 && size >= 512) learn(file, bytes);
  if (!is_page(file, size, offset)) return file->real->pMethods->xWrite(file->real, bytes, size, offset);
  if (file->copy == NULL && (file->copy = sx_api->malloc(size)) == NULL) return SQLITE_IOERR_NOMEM;
  memcpy(file->copy, bytes, (size_t)(size - sum_size));
  uint32_t own = sum(file->copy, size, offset);
  uint32_t both[2] = {own, ~own};
  memcpy(file->copy + size - sum_size, both, sum_size);
  return file->real->pMethods->xWrite(file->real, file->copy, size, offset);
}

static int pages_close(sqlite3_file *base) {
  pages_file *file = mine(base);
  int code = file->real->pMethods->xClose(file->real);
  sx_api->free(file->copy);
  file->copy = NULL;
  return code;
}

static int pages_truncate(sqlite3_file *f, sqlite3_int64 size) { return real(f)->pMethods->xTruncate(real(f), size); }
static int pages_sync(sqlite3_file *f, int flags) { return real(f)->pMethods->xSync(real(f), flags); }
static int pages_size(sqlite3_file *f, sqlite3_int64 *size) { return real(f)->pMethods->xFileSize(real(f), size); }
static int pages_lock(sqlite3_file *f, int level) { return real(f)->pMethods->xLock(real(f), level); }
static int pages_unlock(sqlite3_file *f, int level) { return real(f)->pMethods->xUnlock(real(f), level); }
static int pages_reserved(sqlite3_file *f, int *out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); }
static int pages_control(sqlite3_file *f, int op, void *argument) {
  return real(f)->pMethods->xFileControl(real(f), op, argument);
}
static int pages_sector(sqlite3_file *f) { return real(f)->pMethods->xSectorSize(real(f)); }
static int pages_device(sqlite3_file *f) {
  enum { subpage_read = 0x8000 }; /* SQLITE_IOCAP_SUBPAGE_READ: parts of a page cannot be looked at */
  return real(f)->pMethods->xDeviceCharacteristics(real(f)) & ~subpage_read;
}
static int pages_shm_map(sqlite3_file *f, int region, int size, int extends, void volatile **memory) {
  return real(f)->pMethods->xShmMap(real(f), region, size, extends, memory);
}
/* One of SQLite's locks on the index of the write-ahead log (https://sqlite.org/walformat.html, 2.3.2). */
enum { checkpoint_lock = 1 };

static int pages_shm_lock(sqlite3_file *f, int offset, int count, int flags) {
  pages_file *file = mine(f);
  int (*lock)(sqlite3_file *, int, int, int) = real(f)->pMethods->xShmLock;
  int end = offset + count;
  if (!file->keeps_checkpoints || offset > checkpoint_lock || end <= checkpoint_lock) {
    return lock(real(f), offset, count, flags);
  }
  if (file->has_checkpoints) {
    /* It is there, and stays. Recovery takes it with the ones behind it. */
    int next = checkpoint_lock + 1;
    return end > next ? lock(real(f), next, end - next, flags) : SQLITE_OK;
  }
  int code = lock(real(f), offset, count, flags);
  if (code == SQLITE_OK && count == 1 && (flags & SQLITE_SHM_LOCK)) file->has_checkpoints = 1;
  return code;
}
static void pages_shm_barrier(sqlite3_file *f) { real(f)->pMethods->xShmBarrier(real(f)); }
static int pages_shm_unmap(sqlite3_file *f, int deletes) {
  mine(f)->has_checkpoints = 0;
  return real(f)->pMethods->xShmUnmap(real(f), deletes);
}

/* Version 2: without xFetch no page is mapped past xRead. */
static const sqlite3_io_methods methods = {
    2,           pages_close,  pages_read,     pages_write,   pages_truncate, pages_sync,
    pages_size,  pages_lock,   pages_unlock,   pages_reserved, pages_control, pages_sector,
    pages_device, pages_shm_map, pages_shm_lock, pages_shm_barrier, pages_shm_unmap, NULL, NULL};

static sqlite3_vfs *inner(void) { return pages_vfs.pAppData; }

/* Temporary files. */
static int of_temporary(int code) {
  int kind = code & 0xff;
  if (code == SQLITE_IOERR_SHORT_READ || code == SQLITE_IOERR_NOMEM) return code;
  if (kind == SQLITE_FULL) return SQLITE_FULL | SX_TEMPORARY;
  return kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN ? SQLITE_IOERR | SX_TEMPORARY : code;
}
static int temporary_read(sqlite3_file *f, void *bytes, int size, sqlite3_int64 offset) {
  return of_temporary(real(f)->pMethods->xRead(real(f), bytes, size, offset));
}
static int temporary_write(sqlite3_file *f, const void *bytes, int size, sqlite3_int64 offset) {
  return of_temporary(real(f)->pMethods->xWrite(real(f), bytes, size, offset));
}
static int temporary_truncate(sqlite3_file *f, sqlite3_int64 size) { return of_temporary(pages_truncate(f, size)); }
static int temporary_sync(sqlite3_file *f, int flags) { return of_temporary(pages_sync(f, flags)); }
static int temporary_size(sqlite3_file *f, sqlite3_int64 *size) { return of_temporary(pages_size(f, size)); }

static const sqlite3_io_methods temporary_methods = {
    1,           pages_close,  temporary_read, temporary_write, temporary_truncate, temporary_sync,
    temporary_size, pages_lock, pages_unlock,  pages_reserved,  pages_control,      pages_sector,
    pages_device, NULL, NULL, NULL, NULL, NULL, NULL};

static int temporary_open(sqlite3_file *file, int flags, int *out) {
  pages_file *pages = mine(file);
  memset(pages, 0, sizeof *pages);
  pages->real = (sqlite3_file *)(pages + 1);
  int code = inner()->xOpen(inner(), NULL, pages->real, flags, out);
  pages->base.pMethods = pages->real->pMethods != NULL ? &temporary_methods : NULL;
  return of_temporary(code);
}

static int pages_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
  (void)vfs;
  if (name == NULL) return temporary_open(file, flags, out);
  /* All others are as the system's own VFS has them. */
  if (!(flags & SQLITE_OPEN_MAIN_DB)) return inner()->xOpen(inner(), name, file, flags, out);
  pages_file *pages = mine(file);
  memset(pages, 0, sizeof *pages);
  pages->real = (sqlite3_file *)(pages + 1);
  int code = inner()->xOpen(inner(), name, pages->real, flags, out);
  /* Where there are methods, SQLite closes the file whatever the code. */
  if (pages->real->pMethods != NULL && pages->real->pMethods->iVersion < 2) {
    pages->real->pMethods->xClose(pages->real);
    return SQLITE_CANTOPEN;
  }
  pages->base.pMethods = pages->real->pMethods != NULL ? &methods : NULL;
  return code;
}

/* The rest is the system's, called with the VFS that it belongs to. */
static int pages_delete(sqlite3_vfs *v, const char *name, int syncs) {
  (void)v;
  return inner()->xDelete(inner(), name, syncs);
}
static int pages_access(sqlite3_vfs *v, const char *name, int flags, int *out) {
  (void)v;
  return inner()->xAccess(inner(), name, flags, out);
}
static int pages_full_name(sqlite3_vfs *v, const char *name, int size, char *out) {
  (void)v;
  return inner()->xFullPathname(inner(), name, size, out);
}
static int pages_randomness(sqlite3_vfs *v, int size, char *out) {
  (void)v;
  return inner()->xRandomness(inner(), size, out);
}
static int pages_sleep(sqlite3_vfs *v, int microseconds) {
  (void)v;
  return inner()->xSleep(inner(), microseconds);
}
static int pages_time(sqlite3_vfs *v, double *out) {
  (void)v;
  return inner()->xCurrentTime(inner(), out);
}
static int pages_last_error(sqlite3_vfs *v, int size, char *out) {
  (void)v;
  return inner()->xGetLastError(inner(), size, out);
}
static int pages_time64(sqlite3_vfs *v, sqlite3_int64 *out) {
  (void)v;
  return inner()->xCurrentTimeInt64(inner(), out);
}

const char *sx_page_sums_vfs(sx_page_sum function) {
  static const char name[] = "sluice-pages";
  sqlite3_mutex *mutex = sx_api->mutex_alloc(SQLITE_MUTEX_STATIC_APP1);
  sx_api->mutex_enter(mutex);
  int code = SQLITE_OK;
  if (pages_vfs.zName == NULL) {
    sqlite3_vfs *system = sx_api->vfs_find(NULL);
    sum_of = function;
    pages_vfs = (sqlite3_vfs){
        .iVersion = system->iVersion < 2 ? 1 : 2, .szOsFile = (int)sizeof(pages_file) + system->szOsFile,
        .mxPathname = system->mxPathname, .zName = name, .pAppData = system, .xOpen = pages_open,
        .xDelete = pages_delete, .xAccess = pages_access, .xFullPathname = pages_full_name,
        .xRandomness = pages_randomness, .xSleep = pages_sleep, .xCurrentTime = pages_time,
        .xGetLastError = pages_last_error, .xCurrentTimeInt64 = pages_time64};
    code = sx_api->vfs_register(&pages_vfs, 0);
    if (code != SQLITE_OK) pages_vfs.zName = NULL;
  }
  sx_api->mutex_leave(mutex);
  return code == SQLITE_OK ? name : NULL;
}

int sx_reserve_page_sums(sqlite3 *db) {
  int size = sum_size;
  return sx_api->file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &size);
}

int sx_keep_checkpoints(sqlite3 *db) {
  sqlite3_file *file = NULL;
  int code = sx_api->file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (code != SQLITE_OK || file == NULL || file->pMethods != &methods) return SQLITE_MISUSE;
  void volatile *memory = NULL;
  /* Locks are there once the index is. */
  code = pages_shm_map(file, 0, 32768, 0, &memory);
  if (code != SQLITE_OK || memory == NULL) return code;
  mine(file)->keeps_checkpoints = 1;
  code = pages_shm_lock(file, checkpoint_lock, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
  return code == SQLITE_BUSY ? SQLITE_OK : code;
}

int sx_has_page_sums(sqlite3 *db) {
  int size = -1;
  return sx_api->file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &size) == SQLITE_OK && size == sum_size;
}
