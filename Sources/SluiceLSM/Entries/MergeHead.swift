// What a merge shows of the entry it stands at.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// The current entry of one run.
struct MergeHead {
  var order: UInt128
  var key: UnsafeRawBufferPointer
  var trailer: UInt64
  var value: UnsafeRawBufferPointer
  var table: UInt32
}

/// Remembers a key to tell its further versions. Keys up to 20 bytes are not copied.
struct KeyMemory: ~Copyable {
  private var order: UInt128 = 0
  private var table: UInt32 = 0
  private var size = -1
  private var bytes = ByteBuffer(capacity: 64)

  /// Remembers no key.
  mutating func forget() { size = -1 }

  /// Whether `head` has the remembered key.
  @inline(__always)
  func matches(_ head: MergeHead) -> Bool {
    guard order == head.order, size == head.key.count, table == head.table else { return false }
    return size <= rankSize || compareBytes(bytes.bytes, head.key) == 0
  }

  @inline(__always)
  mutating func remember(_ head: MergeHead) {
    order = head.order
    table = head.table
    size = head.key.count
    if size > rankSize {
      bytes.removeAll()
      bytes.append(head.key)
    }
  }
}
