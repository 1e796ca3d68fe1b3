// GNU readline behind a few functions. See creadline.h.
//
// Ctrl-C without longjmp: the handler only counts. The key reader waits in ppoll, which lets SIGINT in atomically;
// when the count is set, it empties the line and hands readline a line feed, so `readline` returns by its ordinary way.
#define _GNU_SOURCE
#include "creadline.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

static volatile sig_atomic_t interrupts;
static int watching;
// Posted once for each interrupt: what a signal handler may do to wake a thread.
static sem_t interrupted;

static void count_interrupt(int signal_number) {
  (void)signal_number;
  if (interrupts >= 2) _exit(1);
  interrupts++;
  int code = errno;
  sem_post(&interrupted);
  errno = code;
}

static void watch(int signal_number) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = count_interrupt;
  sigemptyset(&action.sa_mask);
  sigaction(signal_number, &action, NULL);
  // Whoever started the process may have left the signal blocked.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, signal_number);
  sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

void creadline_watch_interrupts(void) {
  sem_init(&interrupted, 0, 0);
  watch(SIGINT);
  watching = 1;
}

void creadline_watch_termination(void) {
  if (watching) watch(SIGTERM);
}

static void (*on_interrupt)(void *context);
static void *on_interrupt_context;

static void *tell_interrupts(void *unused) {
  (void)unused;
  for (;;) {
    if (sem_wait(&interrupted) == 0) on_interrupt(on_interrupt_context);
  }
  return NULL;
}

int creadline_tell_interrupts(void (*callback)(void *context), void *context) {
  on_interrupt = callback;
  on_interrupt_context = context;
  // The thread takes no signals: the key reader waits for them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  int code = pthread_create(&thread, NULL, tell_interrupts, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (code == 0) pthread_detach(thread);
  return code;
}

int creadline_interrupted(void) { return interrupts != 0; }

int creadline_take_interrupt(void) {
  int seen = interrupts != 0;
  interrupts = 0;
  return seen;
}

static int read_key(FILE *stream) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  for (;;) {
    struct pollfd waiting = {.fd = fileno(stream), .events = POLLIN};
    sigprocmask(SIG_BLOCK, &blocked, &before);
    int ready = interrupts ? -1 : ppoll(&waiting, 1, NULL, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (watching && interrupts) {
      rl_replace_line("", 0);
      fputs("^C", rl_outstream);
      return '\n';
    }
    if (ready > 0) return rl_getc(stream);
    rl_check_signals();
  }
}

static creadline_completer completer;
static void *completer_context;
static char *candidates;
static char *next_candidate;

static char *generate(const char *text, int state) {
  (void)text;
  if (state == 0) next_candidate = candidates;
  if (next_candidate == NULL || *next_candidate == 0) return NULL;
  char *end = strchrnul(next_candidate, '\n');
  char *found = strndup(next_candidate, (size_t)(end - next_candidate));
  next_candidate = *end ? end + 1 : end;
  return found;
}

static char **complete(const char *text, int start, int end) {
  free(candidates);
  candidates = completer(completer_context, rl_line_buffer, start, end, text);
  if (candidates == NULL) return NULL;
  rl_attempted_completion_over = 1;
  return rl_completion_matches(text, generate);
}

// Names of files stand in dot commands only.
static char *word_breaks(void) {
  static char in_statement[] = " \t\n\"'`<>=;|&{}()[],+-*/%!~";
  static char in_dot_command[] = " \t\n\"'";
  return rl_line_buffer[0] == '.' ? in_dot_command : in_statement;
}

void creadline_initialize(const char *name, void *context, creadline_completer new_completer) {
  rl_readline_name = name;
  completer = new_completer;
  completer_context = context;
  rl_attempted_completion_function = complete;
  rl_completion_word_break_hook = word_breaks;
  rl_catch_signals = 0;
  rl_getc_function = read_key;
  rl_variable_bind("completion-ignore-case", "on");
  // Entries of several lines come back whole only with time stamps between the entries.
  history_write_timestamps = 1;
  history_comment_char = '#';
  using_history();
}

char *creadline_read(const char *prompt) {
  char *line = readline(prompt);
  // With bracketed paste readline ends the line itself when the input ends.
  if (line == NULL && strcmp(rl_variable_value("enable-bracketed-paste"), "on") != 0) fputc('\n', rl_outstream);
  return line;
}

int creadline_remember(const char *entry, const char *path) {
  add_history(entry);
  return path == NULL ? 0 : append_history(1, path);
}

int creadline_load(const char *path) { return read_history(path); }

int creadline_truncate(const char *path, int count) { return history_truncate_file(path, count); }
