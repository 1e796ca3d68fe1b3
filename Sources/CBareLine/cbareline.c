// Parses, encodes, checksums, writes, syncs: the least that a durable load of INSERT text must do, on one thread. No
// transaction, no table, no key, no memory of what was written.
//
// A block is written when 1 MiB is encoded: u32 checksum (CRC32C), u32 bytes, then rows: u32 bytes, then for each value
// a byte for its kind (0 and 1: sign of an integer, 2: double, 3: text) and an integer (LEB128), a double (8 bytes) or
// a text (u32 bytes, then the bytes).
#define _GNU_SOURCE
#include "cbareline.h"
#include "csystem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, HEADER = 8 };

struct line {
  const char *at, *end;  // the text
  char *out;             // where the next value goes
};

// An integer, or a number with decimals, without exponent.
static int number(struct line *line) {
  int negative = *line->at == '-';
  if (negative) line->at++;
  const char *begin = line->at;
  uint64_t whole = 0;
  while (line->at < line->end && *line->at >= '0' && *line->at <= '9')
    whole = whole * 10 + (uint64_t)(*line->at++ - '0');
  if (line->at == begin) return EINVAL;
  if (line->at < line->end && *line->at == '.') {
    double scale = 1;
    for (line->at++; line->at < line->end && *line->at >= '0' && *line->at <= '9'; scale *= 10)
      whole = whole * 10 + (uint64_t)(*line->at++ - '0');
    double value = (double)whole / scale;
    if (negative) value = -value;
    *line->out++ = 2;
    memcpy(line->out, &value, 8);
    line->out += 8;
    return 0;
  }
  *line->out++ = (char)negative;
  for (; whole >= 128; whole >>= 7) *line->out++ = (char)(whole | 128);
  *line->out++ = (char)whole;
  return 0;
}

// From the quote on; two quotes are one.
static int text(struct line *line) {
  *line->out = 3;
  char *length = line->out + 1;
  line->out += 5;
  char *begin = line->out;
  for (line->at++;;) {
    const char *quote = memchr(line->at, '\'', (size_t)(line->end - line->at));
    if (!quote) return EINVAL;
    memcpy(line->out, line->at, (size_t)(quote - line->at));
    line->out += quote - line->at;
    line->at = quote + 1;
    if (line->at == line->end || *line->at != '\'') break;
    *line->out++ = '\'';
    line->at++;
  }
  uint32_t size = (uint32_t)(line->out - begin);
  memcpy(length, &size, 4);
  return 0;
}

// The rows of one INSERT: adds their count to `rows`.
static int insert(struct line *line, int64_t *rows) {
  line->at = memchr(line->at, '(', (size_t)(line->end - line->at));
  if (!line->at) return EINVAL;
  for (;; line->at++) {
    if (line->at == line->end || *line->at != '(') return EINVAL;
    char *begin = line->out;
    line->out += 4;
    do {
      line->at++;
      if (line->at == line->end) return EINVAL;
      int code = *line->at == '\'' ? text(line) : number(line);
      if (code) return code;
    } while (line->at < line->end && *line->at == ',');
    if (line->at == line->end || *line->at++ != ')') return EINVAL;
    uint32_t size = (uint32_t)(line->out - begin);
    memcpy(begin, &size, 4);
    ++*rows;
    if (line->at == line->end || *line->at != ',') return 0;
  }
}

// Puts the checksum in front of the block and writes it.
static int flush(int file, char *block, char *end) {
  uint32_t size = (uint32_t)(end - block - HEADER), sum = csystem_crc32c(0, block + HEADER, size);
  memcpy(block, &sum, 4);
  memcpy(block + 4, &size, 4);
  for (char *at = block; at < end;) {
    ssize_t count = write(file, at, (size_t)(end - at));
    if (count < 0) return errno;
    at += count;
  }
  return 0;
}

static int run(int script, int output, int64_t *rows) {
  // A line is at most two chunks; its rows take at most three times its bytes (`1.,` becomes nine), behind one chunk.
  char *input = malloc(2 * CHUNK), *block = malloc(HEADER + 7 * CHUNK), *out = block + HEADER;
  size_t held = 0;
  int code = input && block ? 0 : ENOMEM;
  while (!code) {
    ssize_t count = read(script, input + held, CHUNK);
    if (count < 0) code = errno;
    if (count <= 0) break;
    char *at = input, *end = input + held + count, *feed;
    while (!code && (feed = memchr(at, '\n', (size_t)(end - at)))) {
      if (feed - at > 6 && memcmp(at, "INSERT", 6) == 0) {
        struct line line = {at, feed, out};
        code = insert(&line, rows);
        out = line.out;
      }
      at = feed + 1;
      if (!code && out - block > CHUNK) {
        code = flush(output, block, out);
        out = block + HEADER;
      }
    }
    held = (size_t)(end - at);
    if (held > CHUNK) code = EINVAL;
    if (!code) memmove(input, at, held);
  }
  if (!code) code = flush(output, block, out);
  free(input);
  free(block);
  if (!code && fdatasync(output)) code = errno;
  return code;
}

int64_t cbareline_run(const char *script, const char *output) {
  int64_t rows = 0;
  int in = open(script, O_RDONLY | O_CLOEXEC);
  if (in < 0) return -errno;
  int out = open(output, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
  int code = out < 0 ? errno : run(in, out, &rows);
  close(in);
  if (out >= 0) close(out);
  return code ? -code : rows;
}
