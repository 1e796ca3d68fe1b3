// RocksDB's C interface as Debian's librocksdb-dev has it. Only sluice-bench with the trait RocksDB needs it.
#include <rocksdb/c.h>
