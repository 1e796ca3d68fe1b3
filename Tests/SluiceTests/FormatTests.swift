// The worked examples at the heads of StoreFile.swift and CatalogChange.swift, byte by byte.
import Testing

@testable import Sluice

private func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}

@Suite struct FormatTests {
  @Test func theStoreFileIsAsItsHeadShows() throws {
    let identity = StoreIdentity(
      shardCount: 2, storeID: 0x1122_3344_5566_7788, hashSeed: 1, shardOfSlot: (0..<4096).map { UInt8($0 % 2) })
    let bytes = identity.encoded()
    #expect(bytes.count == 4132)
    #expect(
      hex(bytes.prefix(36)) == "53 4c 55 49 43 45 53 54 01 00 01 00 02 00 00 00 "
        + "88 77 66 55 44 33 22 11 01 00 00 00 00 00 00 00 00 01 00 01")
    #expect(try StoreIdentity.decode(bytes, path: "store") == identity)
  }

  @Test func aCatalogChangeIsAsItsHeadShows() {
    let change = CatalogChange(operation: .drop, object: .table, lenient: true, tableID: 3, name: "t")
    let bytes = change.encoded()
    #expect(hex(bytes) == "02 01 01 00 03 00 00 00 00 00 00 00 00 00 00 00 01 74 00 00")
    #expect(bytes.withUnsafeBytes { CatalogChange.decode($0) } == change)
  }

  @Test func anAlterIsAsItsHeadShows() {
    let change = CatalogChange(
      operation: .alter, object: .table, tableID: 3, name: "t", owner: "u", definition: "CREATE TABLE u (\n  a\n)")
    let bytes = change.encoded()
    #expect(
      hex(bytes) == "04 01 00 00 03 00 00 00 00 00 00 00 00 00 00 00 01 74 01 75 16 "
        + "43 52 45 41 54 45 20 54 41 42 4c 45 20 75 20 28 0a 20 20 61 0a 29")
    #expect(bytes.withUnsafeBytes { CatalogChange.decode($0) } == change)
  }

  /// It stands in the log: another value would refuse what was accepted.
  @Test func theMarkOfACatalogStays() throws {
    var catalog = Catalog()
    let empty = catalog.mark
    _ = try catalog.apply(
      CatalogChange(operation: .create, object: .table, tableID: 3, name: "T", definition: "CREATE TABLE T (a, b)"))
    _ = try catalog.apply(
      CatalogChange(operation: .create, object: .index, name: "i", owner: "T", definition: "CREATE INDEX i ON T (a)"))
    #expect(empty == 0x1_0000_0000)
    #expect(catalog.mark == 5_970_518_545)
  }
}
