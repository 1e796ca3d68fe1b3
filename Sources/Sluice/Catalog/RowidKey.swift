// Rowids in engine keys: a row's INTEGER PRIMARY KEY or its number, in the encoding of keys, or its position, 8 bytes
// big-endian. Unsafe by nature: named in the tidy test.
import SluiceSQL
import SluiceSystem

extension SQLTable {
  /// The rowid in an engine key of the table; nil: it has none.
  func rowid(ofKey key: UnsafeRawBufferPointer) -> Int64? {
    if hasNumberKey { return storedRowid(ofKey: key) }
    guard isStream, key.count == KeySpace.prefixSize + 8 else { return nil }
    return Int64(bigEndian: key.loadUnaligned(fromByteOffset: KeySpace.prefixSize, as: Int64.self))
  }

  /// Appends what stands for `rowid` in an engine key.
  func append(rowid: Int64, to key: inout ByteBuffer) {
    if isStream { key.append(bigEndian: rowid) } else { KeyFormat.append(integer: rowid, to: &key) }
  }
}

/// The number in an engine key of a table that has numbers for keys.
func storedRowid(ofKey key: UnsafeRawBufferPointer) -> Int64? {
  var decoder = KeyDecoder(key, offset: KeySpace.prefixSize)
  guard case .integer(let number)? = decoder.next() else { return nil }
  return number
}
