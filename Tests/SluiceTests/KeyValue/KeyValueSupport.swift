// What the tests of raw keys share: sessions used with arrays of bytes, and whole contents.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

typealias Bytes = [UInt8]

extension KeyValueSession {
  func multiGet(_ keys: [Bytes]) throws -> [Bytes?] {
    // Every key lives as long as the array does.
    let memory = keys.map { key in
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(key.count, 1), alignment: 1)
      copy.copyBytes(from: key)
      return UnsafeRawBufferPointer(rebasing: copy[..<key.count])
    }
    defer { for copy in memory { copy.baseAddress?.deallocate() } }
    var values: [Bytes?] = []
    try multiGet(memory) { index, value in
      #expect(index == values.count)
      values.append(value.map { Bytes($0) })
    }
    return values
  }

  func scan(from start: Bytes? = nil, limit: Int = .max) throws -> [Row] {
    var rows: [Row] = []
    func take(_ start: UnsafeRawBufferPointer?) throws(StoreError) -> Int {
      try scan(from: start, limit: limit) { key, value in
        rows.append(Row(Bytes(key), Bytes(value)))
        return true
      }
    }
    let count = try start.map { try $0.withUnsafeBytes { try take($0) } } ?? take(nil)
    #expect(count == rows.count)
    return rows
  }

  func rows(_ range: KeyRange = .all, _ order: KeyOrder = .ascending) throws -> [Row] {
    let iterator = try makeIterator(range, order)
    var rows: [Row] = []
    while try iterator.next() { rows.append(Row(Bytes(iterator.key), Bytes(iterator.value))) }
    #expect(try !iterator.next())
    return rows
  }
}

struct Row: Equatable, CustomStringConvertible {
  let key: Bytes
  let value: Bytes

  init(_ key: Bytes, _ value: Bytes) {
    self.key = key
    self.value = value
  }

  var description: String { "\(String(decoding: key, as: UTF8.self))=\(value.count) bytes \(value.prefix(4))" }
}

/// What a key space should hold.
struct RowModel {
  private(set) var values: [Bytes: Bytes] = [:]

  mutating func put(_ key: Bytes, _ value: Bytes) { values[key] = value }
  mutating func delete(_ key: Bytes) { values[key] = nil }

  subscript(key: Bytes) -> Bytes? { values[key] }

  func rows(lower: Bytes = [], upper: Bytes? = nil) -> [Row] {
    values.keys.filter { key in
      !key.lexicographicallyPrecedes(lower) && upper.map { key.lexicographicallyPrecedes($0) } ?? true
    }.sorted { $0.lexicographicallyPrecedes($1) }.map { Row($0, values[$0]!) }
  }
}

func bytes(_ text: String) -> Bytes { Bytes(text.utf8) }
