/* SQLite by its routine table (sqlite3_api_routines): the same code runs in a program that links libsqlite3 and in a
   loadable extension, which must use its host's SQLite and link none of its own. Nothing here refers to a sqlite3_*
   symbol, so whoever imports this module must not call those either: the sx_* functions stand for them.

   Where the table comes from: an extension is handed it by its host and calls sx_set_api; a program that has the
   target CSQLiteHost among its dependencies gets it from libsqlite3 at the first sx_ready(), by a weak symbol. */
#ifndef CSQLITE_H
#define CSQLITE_H

#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>
/* With SQLITE_CORE sqlite3ext.h declares the table and leaves out the macros that redirect the function names. */
#ifndef SQLITE_CORE
#define SQLITE_CORE 1
#endif
#include <sqlite3ext.h>

/* sqlite3_error_offset and sqlite3_vtab_in and its like, the youngest routines used here, came with 3.38.0. */
#define SX_LOWEST_VERSION 3038000

extern const sqlite3_api_routines *sx_api;

/* Takes the routine table. SQLITE_OK, or SQLITE_ERROR if it is NULL or its SQLite older than SX_LOWEST_VERSION; the
   reason then goes to `message` (unless that is NULL) in the host's memory, as an entry point must give it.
   The first table stays: later calls change nothing. From any thread. */
int sx_set_api(const sqlite3_api_routines *api, char **message);

/* Defined by CSQLiteHost, if that is linked in: calls sx_set_api with libsqlite3's table. */
__attribute__((weak, visibility("hidden"))) int sx_host_bootstrap(void);

/* SQLITE_OK once the routine table is known. To be called before any function below. From any thread. */
int sx_ready(void);

/* Takes, and gives back, the mutexes that SQLite shares between connections. Around fork(): a thread that the child
   does not have may hold one of them just then, and the child would wait for it for ever. */
void sx_enter_shared_mutexes(void);
void sx_leave_shared_mutexes(void);

/* An address for the empty text and the empty blob: SQLite takes NULL for the SQL NULL. */
extern const char sx_empty[1];

typedef void (*sx_destructor)(void *);

/* Checksum of `size` bytes, going on from `seed`. */
typedef uint32_t (*sx_page_sum)(uint32_t seed, const void *bytes, size_t size);

/* Registers the VFS that keeps a checksum in each page of a database (pages.c), with the function that computes it;
   returns its name, or NULL when SQLite refuses. From any thread. */
const char *sx_page_sums_vfs(sx_page_sum function);

/* Has the pages of a database that is made now leave room for their checksums. Before anything is written. */
int sx_reserve_page_sums(sqlite3 *db);
/* Keeps all others from copying pages of the write-ahead log into the database, which must have been read in WAL mode,
   as long as the connection is open. When one of them is at it, from this connection's next checkpoint on. */
int sx_keep_checkpoints(sqlite3 *db);
/* Whether the pages of a database have that room. */
int sx_has_page_sums(sqlite3 *db);

#define SX static inline __attribute__((always_inline))

/* Library */
SX int sx_libversion_number(void) { return sx_api->libversion_number(); }
SX const char *sx_errstr(int code) { return sx_api->errstr(code); }
SX void *sx_malloc(uint64_t size) { return sx_api->malloc64(size); }
SX void sx_give_message(char **message, const char *text) {
  if (message != NULL) *message = sx_api->mprintf("%s", text);
}
SX void sx_free(void *memory) { sx_api->free(memory); }

/* Connection */
SX int sx_open(const char *path, sqlite3 **db, int flags, const char *vfs) {
  return sx_api->open_v2(path, db, flags, vfs);
}
SX int sx_close(sqlite3 *db) { return sx_api->close_v2(db); }
SX int sx_errcode(sqlite3 *db) { return sx_api->extended_errcode(db); }
/* What the system said to the last call that it refused. */
SX int sx_system_errno(sqlite3 *db) { return sx_api->system_errno(db); }
SX const char *sx_errmsg(sqlite3 *db) { return sx_api->errmsg(db); }
SX int sx_error_offset(sqlite3 *db) { return sx_api->error_offset(db); }
SX int sx_busy_timeout(sqlite3 *db, int milliseconds) { return sx_api->busy_timeout(db, milliseconds); }
SX int64_t sx_changes(sqlite3 *db) { return sx_api->changes64(db); }
SX int64_t sx_total_changes(sqlite3 *db) { return sx_api->total_changes64(db); }
SX int64_t sx_last_insert_rowid(sqlite3 *db) { return sx_api->last_insert_rowid(db); }
SX int sx_get_autocommit(sqlite3 *db) { return sx_api->get_autocommit(db); }
/* One of SQLITE_TXN_NONE, _READ, _WRITE; -1 without a database of that name. */
SX int sx_txn_state(sqlite3 *db, const char *schema) { return sx_api->txn_state(db, schema); }
SX void sx_interrupt(sqlite3 *db) { sx_api->interruptx(db); }
SX int sx_limit(sqlite3 *db, int which, int value) { return sx_api->limit(db, which, value); }
SX int sx_db_readonly(sqlite3 *db, const char *schema) { return sx_api->db_readonly(db, schema); }
SX int sx_wal_checkpoint(sqlite3 *db, const char *schema, int mode, int *frames, int *moved) {
  return sx_api->wal_checkpoint_v2(db, schema, mode, frames, moved);
}
SX void sx_wal_hook(sqlite3 *db, int (*hook)(void *, sqlite3 *, const char *, int), void *argument) {
  sx_api->wal_hook(db, hook, argument);
}
/* How the write-ahead log stands (https://sqlite.org/walformat.html, 2.3.1): a count of commits, its frames,
   how many of them are in the
   file, and the frame up to which the readers on each of the five read marks see it. */
typedef struct sx_wal_index {
  uint32_t changes;
  uint32_t frames;
  uint32_t moved;
  uint32_t marks[5];
} sx_wal_index;

/* Reads that from the memory which all connections share; SQLITE_NOTFOUND when there is none. The shm file itself must
   not be opened for it: closing it again would end this process's locks on it. */
int sx_read_wal_index(sqlite3 *db, sx_wal_index *index);

SX int sx_set_authorizer(sqlite3 *db,
                         int (*judge)(void *, int, const char *, const char *, const char *, const char *),
                         void *argument) {
  return sx_api->set_authorizer(db, judge, argument);
}
SX void sx_progress_handler(sqlite3 *db, int steps, int (*judge)(void *), void *argument) {
  sx_api->progress_handler(db, steps, judge, argument);
}
SX int sx_no_checkpoint_on_close(sqlite3 *db) {
  return sx_api->db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}
/* Extends the code of what went wrong with a temporary file, where pages have checksums: no extension of SQLite's. */
#define SX_TEMPORARY 16384
/* The name that a temporary file would get; to be given back to sx_free. */
SX char *sx_temporary_name(sqlite3 *db) {
  char *name = NULL;
  return sx_api->file_control(db, "main", SQLITE_FCNTL_TEMPFILENAME, &name) == SQLITE_OK ? name : NULL;
}
SX int sx_disable_triggers(sqlite3 *db) { return sx_api->db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)0); }
/* Whether the file of a schema was removed, renamed or replaced since it was opened. */
SX int sx_has_moved(sqlite3 *db, const char *schema, int *moved) {
  return sx_api->file_control(db, schema, SQLITE_FCNTL_HAS_MOVED, moved);
}

/* Statement */
SX int sx_prepare(sqlite3 *db, const char *text, int size, unsigned flags, sqlite3_stmt **statement,
                  const char **tail) {
  return sx_api->prepare_v3(db, text, size, flags, statement, tail);
}
SX int sx_step(sqlite3_stmt *statement) { return sx_api->step(statement); }
SX int sx_reset(sqlite3_stmt *statement) { return sx_api->reset(statement); }
SX int sx_finalize(sqlite3_stmt *statement) { return sx_api->finalize(statement); }
/* The statement behind `statement` of the connection's, in no order to rely on; NULL gives the first one. */
SX sqlite3_stmt *sx_next_stmt(sqlite3 *db, sqlite3_stmt *statement) { return sx_api->next_stmt(db, statement); }
SX int sx_stmt_busy(sqlite3_stmt *statement) { return sx_api->stmt_busy(statement); }
SX const char *sx_sql(sqlite3_stmt *statement) { return sx_api->sql(statement); }
SX int sx_stmt_readonly(sqlite3_stmt *statement) { return sx_api->stmt_readonly(statement); }
SX int sx_stmt_isexplain(sqlite3_stmt *statement) { return sx_api->stmt_isexplain(statement); }
SX int sx_bind_parameter_count(sqlite3_stmt *statement) { return sx_api->bind_parameter_count(statement); }
SX const char *sx_bind_parameter_name(sqlite3_stmt *statement, int index) {
  return sx_api->bind_parameter_name(statement, index);
}
SX int sx_bind_parameter_index(sqlite3_stmt *statement, const char *name) {
  return sx_api->bind_parameter_index(statement, name);
}
SX int sx_bind_null(sqlite3_stmt *statement, int index) { return sx_api->bind_null(statement, index); }
SX int sx_bind_int64(sqlite3_stmt *statement, int index, int64_t value) {
  return sx_api->bind_int64(statement, index, value);
}
SX int sx_bind_double(sqlite3_stmt *statement, int index, double value) {
  return sx_api->bind_double(statement, index, value);
}
SX int sx_bind_text(sqlite3_stmt *statement, int index, const void *bytes, uint64_t size, int copy) {
  return sx_api->bind_text64(statement, index, (const char *)(bytes ? bytes : sx_empty), size,
                             copy ? SQLITE_TRANSIENT : SQLITE_STATIC, SQLITE_UTF8);
}
SX int sx_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, uint64_t size, int copy) {
  return sx_api->bind_blob64(statement, index, bytes ? bytes : sx_empty, size,
                             copy ? SQLITE_TRANSIENT : SQLITE_STATIC);
}
SX int sx_column_count(sqlite3_stmt *statement) { return sx_api->column_count(statement); }
SX int sx_data_count(sqlite3_stmt *statement) { return sx_api->data_count(statement); }
SX const char *sx_column_name(sqlite3_stmt *statement, int index) { return sx_api->column_name(statement, index); }
/* The table, and the column in it, that a result column is; null: it is none, or the host's SQLite does not tell. */
SX const char *sx_column_table(sqlite3_stmt *statement, int index) {
  return sx_api->column_table_name ? sx_api->column_table_name(statement, index) : 0;
}
SX const char *sx_column_origin(sqlite3_stmt *statement, int index) {
  return sx_api->column_origin_name ? sx_api->column_origin_name(statement, index) : 0;
}
SX const char *sx_column_decltype(sqlite3_stmt *statement, int index) {
  return sx_api->column_decltype(statement, index);
}
SX int sx_column_type(sqlite3_stmt *statement, int index) { return sx_api->column_type(statement, index); }
SX int64_t sx_column_int64(sqlite3_stmt *statement, int index) { return sx_api->column_int64(statement, index); }
SX double sx_column_double(sqlite3_stmt *statement, int index) { return sx_api->column_double(statement, index); }
SX const void *sx_column_text(sqlite3_stmt *statement, int index) { return sx_api->column_text(statement, index); }
SX const void *sx_column_blob(sqlite3_stmt *statement, int index) { return sx_api->column_blob(statement, index); }
SX int sx_column_bytes(sqlite3_stmt *statement, int index) { return sx_api->column_bytes(statement, index); }

/* Arguments of functions and of virtual-table constraints */
SX int sx_value_type(sqlite3_value *value) { return sx_api->value_type(value); }
/* Makes a text that is a number one, then as sx_value_type. */
SX int sx_value_numeric_type(sqlite3_value *value) { return sx_api->value_numeric_type(value); }
SX int64_t sx_value_int64(sqlite3_value *value) { return sx_api->value_int64(value); }
SX double sx_value_double(sqlite3_value *value) { return sx_api->value_double(value); }
SX const void *sx_value_text(sqlite3_value *value) { return sx_api->value_text(value); }
SX const void *sx_value_blob(sqlite3_value *value) { return sx_api->value_blob(value); }
SX int sx_value_bytes(sqlite3_value *value) { return sx_api->value_bytes(value); }

/* Results of functions and of virtual-table columns. Text and blobs of size 0 need no address. */
SX void *sx_user_data(sqlite3_context *context) { return sx_api->user_data(context); }
SX void sx_result_null(sqlite3_context *context) { sx_api->result_null(context); }
SX void sx_result_int64(sqlite3_context *context, int64_t value) { sx_api->result_int64(context, value); }
SX void sx_result_double(sqlite3_context *context, double value) { sx_api->result_double(context, value); }
SX void sx_result_text(sqlite3_context *context, const void *bytes, uint64_t size, int copy) {
  sx_api->result_text64(context, (const char *)(bytes ? bytes : sx_empty), size,
                        copy ? SQLITE_TRANSIENT : SQLITE_STATIC, SQLITE_UTF8);
}
SX void sx_result_blob(sqlite3_context *context, const void *bytes, uint64_t size, int copy) {
  sx_api->result_blob64(context, bytes ? bytes : sx_empty, size, copy ? SQLITE_TRANSIENT : SQLITE_STATIC);
}
SX void sx_result_error(sqlite3_context *context, const char *message, int size, int code) {
  sx_api->result_error(context, message, size);
  sx_api->result_error_code(context, code);
}

/* Functions and virtual tables. `destroy` runs on `argument` also when the call fails. */
SX int sx_create_function(sqlite3 *db, const char *name, int count, int flags, void *argument,
                          void (*call)(sqlite3_context *, int, sqlite3_value **), sx_destructor destroy) {
  return sx_api->create_function_v2(db, name, count, flags, argument, call, NULL, NULL, destroy);
}
SX int sx_create_module(sqlite3 *db, const char *name, const sqlite3_module *module, void *argument,
                        sx_destructor destroy) {
  return sx_api->create_module_v2(db, name, module, argument, destroy);
}
SX int sx_declare_vtab(sqlite3 *db, const char *declaration) { return sx_api->declare_vtab(db, declaration); }
/* These two from within xCreate and xConnect alone. */
SX int sx_vtab_constraint_support(sqlite3 *db) { return sx_api->vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1); }
SX int sx_vtab_direct_only(sqlite3 *db) { return sx_api->vtab_config(db, SQLITE_VTAB_DIRECTONLY); }
/* Within xUpdate: one of SQLITE_ROLLBACK, _IGNORE, _FAIL, _ABORT, _REPLACE. */
SX int sx_vtab_on_conflict(sqlite3 *db) { return sx_api->vtab_on_conflict(db); }
/* Within xColumn: the column is read by an UPDATE that leaves it as it is. */
SX int sx_vtab_nochange(sqlite3_context *context) { return sx_api->vtab_nochange(context); }
/* Within xUpdate: xColumn gave no value because of that. */
SX int sx_value_nochange(sqlite3_value *value) { return sx_api->value_nochange(value); }
/* Within xBestIndex. */
SX const char *sx_vtab_collation(sqlite3_index_info *info, int index) { return sx_api->vtab_collation(info, index); }
SX int sx_vtab_rhs_value(sqlite3_index_info *info, int index, sqlite3_value **value) {
  return sx_api->vtab_rhs_value(info, index, value);
}
SX int sx_vtab_distinct(sqlite3_index_info *info) { return sx_api->vtab_distinct(info); }
SX int sx_vtab_in(sqlite3_index_info *info, int index, int handle) { return sx_api->vtab_in(info, index, handle); }
/* Within xFilter: the values of an IN that xBestIndex asked for whole. */
SX int sx_vtab_in_first(sqlite3_value *list, sqlite3_value **value) { return sx_api->vtab_in_first(list, value); }
SX int sx_vtab_in_next(sqlite3_value *list, sqlite3_value **value) { return sx_api->vtab_in_next(list, value); }

/* What SQLite holds of a virtual table and of its cursor: its own part first, then ours. */
typedef struct sx_table {
  sqlite3_vtab base;
  void *object;       /* the VirtualTable, retained */
  sqlite3 *db;        /* whose table it is */
  int refused;        /* 1 + number of the savepoint that the object refused; 0: none */
  uint8_t isWritable; /* 1: the object is a WritableTable */
  uint8_t hasRowid;   /* 0: declared WITHOUT ROWID */
} sx_table;

typedef struct sx_cursor {
  sqlite3_vtab_cursor base;
  void *object;      /* the VirtualCursor, retained */
  const void *cells; /* its cells, at one address as long as it lives */
  int64_t row;       /* 1 for the first row of a scan, then 2, 3 ... */
  int columnCount;
  uint8_t copies; /* 1: SQLite copies text and blobs; 0: they outlive the statement's run */
  uint8_t atEnd;
  uint8_t omitsUnchanged; /* 1: columns that an UPDATE leaves as they are get no value */
} sx_cursor;

#undef SX
#endif
