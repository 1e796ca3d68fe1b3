// A store that is read and not written, whoever holds it: nothing is created, changed, cut off, removed or locked, so a
// store on a read-only file system can be read too.
//
// The reader opens the shards from their manifests and tables, and applies the log behind them in memory, as opening
// for writing does. What it shows is always whole: one position, at which a statement or a transaction ends, the same
// in all shards. It ends where the log verifies (LogFollower.swift says what that means): just there would the store
// stand if its writer ended now and another one opened it.
//
// The files may change while they are read: a table is merged away, a manifest written anew, a segment sealed or
// renamed. Whatever a crash leaves can be read, so what cannot be read has been changed meanwhile, and is read again,
// `attempts` times; when nothing has changed it is damage, and told in the words of opening.
//
// Memory: what the writer has not flushed, which it holds itself (two generations of its memtables and its queue, or
// one transaction that is larger, until it is flushed), and `memtableBudgetBytes` more, after which the shards are
// opened anew if they were flushed meanwhile. While that goes on there is the old and the new. A view that somebody
// holds keeps what it shows.
import SluiceLSM
import SluiceLog
import SluiceSystem

/// A store at one position: what a reader asks. Immutable; keeps the memory and the tables it needs.
struct StoreView: Sendable {
  let position: UInt64
  let catalog: Catalog
  /// All shards at `position`, by number.
  let snapshots: [Snapshot]
  let router: Router
}

/// Reads a store that this process does not write. Any thread.
public final class StoreReader: Sendable {
  /// How often files that change are read before the reader gives up.
  static let attempts = 20

  private let path: String
  private let options: StoreOptions
  private let resources: EngineResources
  private let following: Monitor<Following>
  private let shown: Monitor<StoreView>

  /// Opens the store at `path` at the end of its log. Of the options those of memory count.
  ///
  /// Throws as `Store.open` does, but for a store that is held; `invalid` also when there is none, and `unavailable`
  /// when its files change faster than they can be read. Cost: index and filter of every table, and the log behind the
  /// last flush, about 0.2 µs a row.
  public static func open(path: String, options: StoreOptions = StoreOptions()) throws(StoreError) -> StoreReader {
    var path = path
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    let resources = EngineResources(cacheBytes: options.cacheBytes, compression: options.compression)
    let followed = try openSteadily(path, options, resources)
    return StoreReader(path, options, resources, followed)
  }

  private init(_ path: String, _ options: StoreOptions, _ resources: EngineResources, _ followed: FollowedStore) {
    self.path = path
    self.options = options
    self.resources = resources
    shown = Monitor(followed.view)
    following = Monitor(Following(store: followed, files: followed.options.fileSystem))
  }

  private struct Following {
    /// Nil behind a failure: the next refresh opens anew.
    var store: FollowedStore?
    /// Those of the directory that was read last.
    var files: any FileSystem
  }

  /// The position of the last command that is seen; 0 when there is none.
  public var position: UInt64 { view.position }

  /// What is seen now: the same until `refresh`.
  var view: StoreView { shown.withLock { $0 } }

  /// Bytes of the log that are held in memory, for what no table has yet.
  var batchBytes: Int { following.withLock { $0.store?.batchBytes ?? 0 } }

  /// Goes on to the present. Views taken before stay what they are. After a throw the old view is still there, and the
  /// next refresh tries again. The position goes back only when the writer took back what it could not make durable.
  ///
  /// Cost with nothing new: one file opened and two short reads, about 5 µs. Else a pass over the new part of the log
  /// and about 0.2 µs a row, and now and then an opening. Of several threads one goes on while the others wait for it.
  public func refresh() throws(StoreError) {
    try following.withLock { (state) throws(StoreError) in
      do throws(StoreError) {
        if var followed = state.store {
          // What fails half way leaves nothing to go on from.
          state.store = nil
          if try followed.advance() {
            state.store = followed
            if followed.position != view.position { show(followed) }
            return
          }
        }
      } catch {}
      // The store is where its directory is; where that was removed, another one may have its name.
      var options = options
      if state.files.whereabouts != .removed { options.fileSystem = state.files }
      let opened = try Self.openSteadily(path, options, resources)
      state = Following(store: opened, files: opened.options.fileSystem)
      show(opened)
    }
  }

  private func show(_ followed: FollowedStore) {
    let view = followed.view
    shown.withLock { $0 = view }
  }

  /// Who holds the store, such as "process 1234"; nil when nobody does. Asked of the system, without taking the lock;
  /// where it does not tell, whoever held the store last counts as its holder.
  public var holder: String? {
    get throws(StoreError) {
      try convertingErrors {
        let file = path + "/LOCK"
        let files = following.withLock { $0.files }
        guard try files.exists(file), try files.isLocked(file) != false else { return nil }
        let text = String(decoding: try files.beginning(file, 256), as: UTF8.self)
        return text.isEmpty ? "another process" : text
      }
    }
  }

  // MARK: Opening

  /// Opens the store as it is once its files stand still for long enough.
  static func openSteadily(
    _ path: String, _ options: StoreOptions, _ resources: EngineResources, listener: (any BatchListener)? = nil
  ) throws(StoreError) -> FollowedStore {
    var before: [String]?
    for _ in 0..<attempts {
      do throws(StoreError) {
        return try FollowedStore(path: path, options: options, resources: resources, listener: listener)
      } catch {
        let now = trace(path, options.fileSystem)
        if now == before { throw error }
        before = now
      }
    }
    throw StoreError(
      .unavailable,
      "\(path) cannot be read: its files changed each of \(attempts) times while they were read; try again")
  }

  /// Names in a store, and the sizes of manifests and segments: what changes with what is read.
  private static func trace(_ path: String, _ files: any FileSystem) -> [String] {
    var result: [String] = []
    func add(_ folder: String) {
      do {
        for name in try files.list(folder) {
          var line = folder + "/" + name
          if name.hasPrefix("MANIFEST-") || name.hasSuffix(".log") {
            let file = try files.open(line, .read)
            defer { file.close() }
            line += " \(try file.size())"
          }
          result.append(line)
        }
      } catch { result.append("\(error)") }
    }
    for folder in ["", "/log", "/shards"] { add(path + folder) }
    for line in result where line.hasPrefix(path + "/shards/") { add(line) }
    return result
  }
}
