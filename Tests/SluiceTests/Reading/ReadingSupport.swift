// What the tests of a reader beside a writer share.
import SluiceSystem
import SluiceTesting
import Testing

@testable import Sluice

/// Reads a simulated disk, and holds it to changing nothing there.
struct SimulatedReader {
  let disk: SimulatedFileSystem
  let reader: StoreReader
  private let openings: Monitor<Int>

  /// How often it began with the store's identity: going on does not.
  var openingCount: Int { openings.withLock { $0 } }

  /// Opens the store `shop`. `memoryBytes`: behind which the shards are looked at again.
  init(_ disk: SimulatedFileSystem, memoryBytes: Int = 4 << 10) throws {
    self.disk = disk
    let calls = disk.callCount
    defer { #expect(disk.callCount == calls, "opening for reading changed something") }
    let openings = Monitor(0)
    self.openings = openings
    let files = HookedFileSystem(disk) { call in
      if call == "open shop/store" { openings.update { $0 += 1 } }
    } hook: {
      Issue.record("\($0)")
    }
    var options = StoreOptions()
    options.fileSystem = files
    options.memtableBudgetBytes = memoryBytes
    reader = try StoreReader.open(path: "shop", options: options)
  }

  func refresh() throws {
    let calls = disk.callCount
    defer { #expect(disk.callCount == calls, "a refresh changed something") }
    try reader.refresh()
  }
}

/// What the writer and the reader say of the same position.
func expectEqual(_ view: StoreView, _ store: Store, _ comment: Comment? = nil) throws {
  #expect(view.position == store.lastPosition, comment)
  let catalog = store.core.pipeline.catalog.withLock { $0 }
  #expect(view.catalog.tables.keys.sorted() == catalog.tables.keys.sorted(), comment)
  #expect(view.catalog.objects.keys.sorted() == catalog.objects.keys.sorted(), comment)
  #expect(view.catalog.highestTableID == catalog.highestTableID, comment)
  if let difference = difference(try view.contents(comment), try store.liveContents(comment)) {
    Issue.record("the reader has \(difference); \(comment.map { "\($0)" } ?? "")")
  }
}
