/* Gives CSQLite the routine table of libsqlite3. For programs only: a loadable extension gets it from its host.
   To have this target among the dependencies is enough, sx_ready() finds it. */
#ifndef CSQLITEHOST_H
#define CSQLITEHOST_H

/* SQLITE_OK once CSQLite has libsqlite3's table. From any thread. */
int sx_host_bootstrap(void);

#endif
