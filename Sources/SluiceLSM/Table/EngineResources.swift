// What the engines of a store share: one memory for blocks, one to sort in, one bound on open files, one way to store
// blocks.
import SluiceSystem

/// Shared by any number of engines. Each bound holds over all of them together.
public final class EngineResources: Sendable {
  /// Blocks in memory.
  public let cache: BlockCache
  let files: OpenFiles
  let sortMemory = SortMemory()
  /// How tables that are written from now on store their blocks; reading knows every way.
  public let compression: Compression
  /// Memory that the next table is built in.
  private let tableMemory = Monitor<TableMemory?>(nil)

  /// `cacheBytes`: bound of the block cache, 0 keeps nothing. `openFileLimit`: files open at the same time; nil: 256,
  /// or an eighth of what the process may have.
  public init(cacheBytes: Int, openFileLimit: Int? = nil, compression: Compression = .none) {
    cache = BlockCache(capacityBytes: cacheBytes)
    files = OpenFiles(limit: openFileLimit)
    self.compression = compression
  }

  /// Files of tables that were gone when they were to be read: whoever reads a store that another process writes has to
  /// look at its manifests again.
  public var vanishedFiles: Int { files.vanishedCount }

  func takeTableMemory() -> TableMemory {
    tableMemory.withLock { memory in
      defer { memory = nil }
      return memory
    } ?? TableMemory()
  }

  /// Keeps memory for the next table.
  func giveBack(_ memory: TableMemory) { tableMemory.withLock { $0 = memory } }
}
