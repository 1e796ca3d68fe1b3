// Raw keys and values as arrays of bytes, for programs to which an allocation a row does not matter.
// Unsafe by nature: named in the tidy test.
import SluiceSystem

extension KeyValueSession {
  /// As `put` of borrowed bytes.
  public func put(_ key: [UInt8], _ value: [UInt8]) throws(StoreError) {
    let result = key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in Result { () throws(StoreError) in try put(key, value) } }
    }
    try result.get()
  }

  /// As `delete` of borrowed bytes.
  public func delete(_ key: [UInt8]) throws(StoreError) {
    try key.withUnsafeBytes { key in Result { () throws(StoreError) in try delete(key) } }.get()
  }

  /// A copy of the value of a key, or nil when it is not there. Errors as for `get` of borrowed bytes.
  public func get(_ key: [UInt8]) throws(StoreError) -> [UInt8]? {
    try key.withUnsafeBytes { key in Result { () throws(StoreError) in try get(key) { [UInt8]($0) } } }.get()
  }
}
