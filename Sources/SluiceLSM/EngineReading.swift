// Opening an engine for reading while another process writes it: the newest complete manifest and its tables; nothing
// is made, cut off or removed. The log behind the flushed position goes into memory as with any engine, and stays
// there.
//
// The writer removes a table as soon as nobody in its own process reads it. One that is open here stays readable, for
// its file is mapped; one that vanishes between the manifest and its opening makes the opening throw, and the next one
// finds another manifest.
import SluiceSystem

extension Engine {
  /// Opens the engine in `directory` for reading; one that is not there, or never flushed, is empty. Tables that
  /// `earlier` has open, an engine opened for reading from the same directory with the same resources, are shared with
  /// it. `flush` and `compact` throw `closed`. Cost: reads the manifest, and the index of every other table.
  /// Throws as `open` does, and when files change just then.
  public static func openForReading(
    fileSystem: any FileSystem, directory: String, shard: Int, resources: EngineResources,
    sharing earlier: Engine? = nil
  ) throws(EngineError) -> Engine {
    var names: [String] = []
    do { if try fileSystem.exists(directory) { names = try fileSystem.list(directory) } } catch {
      throw EngineError(error, doing: "reading the engine's directory", shard: shard)
    }
    let found = try newestManifest(fileSystem, directory, names, shard: shard)
    let version = found?.version ?? Version()
    let counters = earlier?.readCounters ?? ReadCounters()
    var tables: [UInt64: Table] = [:]
    for info in version.tables {
      if let table = earlier?.tables[info.number], table.info == info {
        tables[info.number] = table
      } else {
        tables[info.number] = try Table.open(
          fileSystem: fileSystem, directory: directory, info: info, shard: shard, resources: resources,
          counters: counters)
      }
    }
    let engine = Engine(
      fileSystem: fileSystem, directory: directory, shard: shard, resources: resources, readCounters: counters,
      version: version, tables: tables, manifest: nil)
    engine.openedManifest = found?.number
    return engine
  }
}
