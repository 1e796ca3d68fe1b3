// Opening an engine: the newest complete manifest, its tables, and the removal of what no manifest names. A new engine
// is a directory whose name need not be durable: its first flush sees to that, and begins the manifest.
import SluiceSystem

extension Engine {
  /// Opens the engine in `directory`, or makes a new one there (its parent must exist). Cost: reads the manifest, and
  /// the index of every table. Throws `corrupt` with file and offset when something does not verify.
  public static func open(
    fileSystem: any FileSystem, directory: String, shard: Int, resources: EngineResources
  ) throws(EngineError) -> Engine {
    let names = try listDirectory(fileSystem, directory, shard: shard)
    let manifests = manifestNumbers(names)
    let files = names.compactMap { fileNumber($0, prefix: "", suffix: ".table") }
    let found = try newestManifest(fileSystem, directory, names, shard: shard)
    var version = found?.version ?? Version()
    let highest = max(manifests.first ?? 0, files.max() ?? 0)
    version.nextNumber = max(version.nextNumber, highest + 1)
    let readCounters = ReadCounters()
    var tables: [UInt64: Table] = [:]
    for info in version.tables {
      tables[info.number] = try Table.open(
        fileSystem: fileSystem, directory: directory, info: info, shard: shard, resources: resources,
        counters: readCounters)
    }
    let manifest: Manifest?
    var unbegun: UInt64?
    if let found, !found.hasTornTail {
      manifest = Manifest(
        number: found.number, size: UInt64(found.size), directory: directory, fileSystem: fileSystem,
        files: resources.files, shard: shard)
    } else if manifests.isEmpty {
      manifest = nil
      unbegun = version.nextNumber
      version.nextNumber += 1
    } else {
      version.deleted = version.liveDeletions(horizon: version.flushedPosition)
      manifest = try Manifest.create(
        fileSystem: fileSystem, files: resources.files, directory: directory, number: version.nextNumber, shard: shard,
        version: version)
      version.nextNumber += 1
    }
    do {
      if let manifest {
        try removeStrangers(fileSystem, directory, manifests: manifests, keeping: manifest.number)
      }
      for number in files where tables[number] == nil {
        try fileSystem.remove(directory + "/" + TableFormat.fileName(number))
      }
    } catch {
      throw EngineError(error, doing: "removing files that no version names", shard: shard)
    }
    let engine = Engine(
      fileSystem: fileSystem, directory: directory, shard: shard, resources: resources, readCounters: readCounters,
      version: version, tables: tables, manifest: manifest)
    engine.unbegunManifest = unbegun
    return engine
  }

  private static func manifestNumbers(_ names: [String]) -> [UInt64] {
    names.compactMap { fileNumber($0, prefix: ManifestFormat.prefix, suffix: "") }.sorted(by: >)
  }

  /// The manifest in force; nil in an engine that never flushed.
  static func newestManifest(
    _ fileSystem: any FileSystem, _ directory: String, _ names: [String], shard: Int
  ) throws(EngineError) -> FoundManifest? {
    for number in manifestNumbers(names) {
      let path = directory + "/" + ManifestFormat.fileName(number)
      let found = try readManifest(path, number: number, fileSystem: fileSystem, shard: shard)
      if let found { return found }
    }
    let tableCount = names.count { fileNumber($0, prefix: "", suffix: ".table") != nil }
    if tableCount == 0 { return nil }
    let newest = manifestNumbers(names).first
    let what = newest == nil ? "is missing" : "ends before its first record does"
    throw EngineError(
      .corrupt, "\(tableCount) tables, and the manifest that names them \(what)", shard: shard,
      file: directory + "/" + (newest.map(ManifestFormat.fileName) ?? ManifestFormat.prefix + "*"))
  }

  /// Names in the directory, which is made when it is not there.
  private static func listDirectory(
    _ fileSystem: any FileSystem, _ directory: String, shard: Int
  ) throws(EngineError) -> [String] {
    do {
      if try fileSystem.exists(directory) { return try fileSystem.list(directory) }
      try fileSystem.createDirectory(directory)
      return []
    } catch { throw EngineError(error, doing: "opening the engine's directory", shard: shard) }
  }

  /// Removes the other manifests, durably: an old one that came back must never meet edits in the new one.
  private static func removeStrangers(
    _ fileSystem: any FileSystem, _ directory: String, manifests: [UInt64], keeping number: UInt64
  ) throws(SystemError) {
    let strangers = manifests.filter { $0 != number }
    for stranger in strangers { try fileSystem.remove(directory + "/" + ManifestFormat.fileName(stranger)) }
    if !strangers.isEmpty { try fileSystem.syncDirectory(directory) }
  }
}
