// The limit of the machine for INSERT text: what is left when nothing of a store is there.
#ifndef CBARELINE_H
#define CBARELINE_H
#include <stdint.h>

/// Reads the script at `script`, whose INSERTs stand on a line each (`INSERT INTO t VALUES(1,2.5,'it''s'),(…);`,
/// numbers and texts only), encodes each row, checksums the rows by blocks, writes them to the new file `output` and
/// ends with one fdatasync. Other lines are passed over. Returns the number of rows, or minus an errno; EINVAL when an
/// INSERT has another form.
int64_t cbareline_run(const char *script, const char *output);
#endif
