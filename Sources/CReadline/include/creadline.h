// GNU readline behind a few functions: its C globals stay on this side, where Swift's checker cannot see them.
// All functions belong to one thread.
#ifndef SLUICE_CREADLINE_H
#define SLUICE_CREADLINE_H

// Candidates for the word `text`, which stands at [start, end) of `line`: newline-separated, allocated by malloc,
// or NULL when file names should be completed. An empty text means no candidate.
typedef char *(*creadline_completer)(void *context, const char *line, int start, int end, const char *text);

// `name` is what ~/.inputrc may test by $if; `context` is handed to `completer` at each call.
void creadline_initialize(const char *name, void *context, creadline_completer completer);

// One line without its line feed, allocated by malloc; NULL at the end of input. A Ctrl-C makes it return an empty
// line with `creadline_take_interrupt` set.
char *creadline_read(const char *prompt);

// Remembers one entry, which may hold line feeds, and appends it to the file at `path` unless that is NULL.
// Returns 0 or an errno.
int creadline_remember(const char *entry, const char *path);

// Loads the history file, in which entries of several lines stay whole. Returns 0 or an errno.
int creadline_load(const char *path);

// Cuts the history file to its last `count` entries. Returns 0 or an errno.
int creadline_truncate(const char *path, int count);

// From here on Ctrl-C sets a flag instead of ending the process; the third one that nobody takes ends it.
void creadline_watch_interrupts(void);

// From here on SIGTERM counts as a Ctrl-C.
void creadline_watch_termination(void);

// After `creadline_watch_interrupts`: calls `callback` for each Ctrl-C, on a thread of its own. Returns 0 or an errno.
int creadline_tell_interrupts(void (*callback)(void *context), void *context);

// Whether Ctrl-C was pressed since the last `creadline_take_interrupt`.
int creadline_interrupted(void);

// The same, and forgets it.
int creadline_take_interrupt(void);

#endif
