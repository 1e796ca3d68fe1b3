/* libsqlite3 shows its routine table only to extensions: so this is one for the length of one sqlite3_open. */
#include <pthread.h>
#include "csqlite.h"
#include "csqlitehost.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int outcome = SQLITE_ERROR;

static int entry(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  (void)db;
  return sx_set_api(api, message);
}

static void bootstrap(void) {
  void (*extension)(void) = (void (*)(void))entry;
  sqlite3 *db = NULL;
  outcome = sqlite3_auto_extension(extension);
  if (outcome != SQLITE_OK) return;
  outcome = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  sqlite3_cancel_auto_extension(extension);
  sqlite3_close(db);
}

int sx_host_bootstrap(void) {
  pthread_once(&once, bootstrap);
  return outcome;
}
