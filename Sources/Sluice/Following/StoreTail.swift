// `sluice tail`: a store's events as lines of JSON, from a process that does not write the store, while another one
// does or nobody.
//
// What is in tables is resolved by what the log records; what lies behind is applied in memory, as a reader of the
// store does, and so resolved again. Everything is seen as soon as the operating system has it: a power cut, or a
// writer that cannot make it durable, may take back what was shown last; what then stands at those positions is shown
// too.
//
// With a group the place is kept in the store (GroupFile.swift), behind what was written out, at most every second and
// at the end. A process that ends in between shows up to a second of events again: at least once.
import SluiceLSM
import SluiceLog
import SluiceSQL
import SluiceSystem

/// What `StoreTail` shows.
public struct TailOptions: Sendable {
  /// The first position; nil: behind the group's checkpoint, or the first that the log holds.
  public var from: UInt64?
  /// Only events of this SQL table, or of what has this name in the catalog.
  public var table: String?
  /// The group whose checkpoint is used and kept.
  public var group: String?
  /// Whether to wait for more at the end of the log.
  public var follows = true

  public init() {}
}

/// Where a tail's lines go.
public protocol TailOutput: AnyObject {
  /// Takes one line, its line feed included.
  func write(_ line: UnsafeRawBufferPointer)
  /// Passes on what was taken. False: nobody reads any more, and the tail ends.
  func flush() -> Bool
  /// Whether the tail is to end. Asked every few milliseconds.
  var isOver: Bool { get }
}

/// The events of one store, in order, once.
public final class StoreTail {
  private static let checkpointNanoseconds: UInt64 = 1_000_000_000
  private static let longestPause: UInt64 = 50_000_000
  private static let shortestPause: UInt64 = 1_000_000

  private let path: String
  private let options: TailOptions
  private let storeOptions: StoreOptions
  private let output: any TailOutput
  private let groups: GroupFiles
  private let fields: EventFields
  private let wantedTable: String?
  /// Nothing below it is shown; nil until the log's beginning is known.
  private var first: UInt64?
  /// Everything up to it was shown, or passed over.
  private var shown: UInt64 = 0
  /// What the group's file says.
  private var saved: UInt64?
  private var savedAt: UInt64 = 0
  private var isAbandoned = false
  /// The log that `shown` speaks of.
  private var follower: LogFollower?
  /// What ends the tail, found while a batch was taken.
  private var failure: StoreError?
  private var line = ByteBuffer(capacity: 512)

  /// Shows events of the store at `path` until the output is over, its reader is gone, or, without following, the end
  /// of the log. Throws `invalid` when there is no store, or the log does not hold what is asked for any more (the
  /// message says from where it does), and as `StoreReader.open`. Memory: that of a `StoreReader`.
  public static func run(
    path: String, options: TailOptions, storeOptions: StoreOptions = StoreOptions(), output: any TailOutput
  ) throws(StoreError) {
    let (groups, identity) = try Self.groups(path, storeOptions)
    var storeOptions = storeOptions
    storeOptions.fileSystem = groups.fileSystem
    var lock: (any FileLock)?
    if let group = options.group { lock = try groups.take(group) }
    defer { lock?.release() }
    let tail = try StoreTail(groups, identity, options, storeOptions, output)
    try tail.follow()
  }

  /// Removes a group's checkpoint. Throws `invalid` when there is none, `unavailable` while a tail keeps it.
  public static func dropGroup(
    _ name: String, path: String, storeOptions: StoreOptions = StoreOptions()
  ) throws(StoreError) {
    try groups(path, storeOptions).groups.remove(name)
  }

  private static func groups(
    _ path: String, _ options: StoreOptions
  ) throws(StoreError) -> (groups: GroupFiles, identity: StoreIdentity) {
    var path = path
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    let files = try convertingErrors { try StoreOpening.hold(path, options.fileSystem) }
    let identity = try convertingErrors { try StoreOpening.knownIdentity(path, files) }
    return (GroupFiles(storePath: path, storeID: identity.storeID, fileSystem: files), identity)
  }

  private init(
    _ groups: GroupFiles, _ identity: StoreIdentity, _ options: TailOptions, _ storeOptions: StoreOptions,
    _ output: any TailOutput
  ) throws(StoreError) {
    path = groups.storePath
    self.options = options
    self.storeOptions = storeOptions
    self.output = output
    self.groups = groups
    fields = EventFields(EventNames(Catalog()), router: Router(identity))
    wantedTable = options.table.map(folded)
    if let group = options.group { saved = try groups.read(group)?.position }
    if let from = options.from {
      first = from
    } else if let saved {
      first = saved + 1
    }
    savedAt = storeOptions.clock.monotonicNanoseconds()
  }

  // MARK: Following

  private func follow() throws(StoreError) {
    let resources = EngineResources(cacheBytes: storeOptions.cacheBytes, compression: storeOptions.compression)
    var followed: FollowedStore?
    var pause = Self.shortestPause
    while !isEnding {
      let before = shown
      do throws(StoreError) {
        if var known = followed {
          followed = nil
          if try known.advance() { followed = known }
        }
        if followed == nil, !isEnding {
          followed = try StoreReader.openSteadily(path, storeOptions, resources, listener: self)
        }
      } catch {
        if let failure { throw failure }
        // A file that has changed while it was read: openSteadily tells that from damage.
        if followed == nil, shown == before { try checkOpening(resources, &followed) }
      }
      try save(isDue: false)
      if !options.follows { break }
      pause = shown > before ? Self.shortestPause : min(pause * 2, Self.longestPause)
      if !isEnding { Thread.sleep(nanoseconds: pause) }
    }
    try save(isDue: true)
  }

  private func checkOpening(
    _ resources: EngineResources, _ followed: inout FollowedStore?
  ) throws(StoreError) {
    do throws(StoreError) {
      followed = try StoreReader.openSteadily(path, storeOptions, resources, listener: self)
    } catch { throw failure ?? error }
  }

  private var isEnding: Bool { isAbandoned || output.isOver }

  /// Passes lines on, and writes the checkpoint when a second has gone by, or `isDue`.
  private func save(isDue: Bool) throws(StoreError) {
    if !output.flush() { isAbandoned = true }
    guard let group = options.group, !isAbandoned, shown != saved ?? 0 else { return }
    let now = storeOptions.clock.monotonicNanoseconds()
    guard isDue || now >= savedAt + Self.checkpointNanoseconds else { return }
    // What the group has passed is never given back, so it must not be what a power cut can take.
    do { try follower?.sync() } catch { throw StoreError(error) }
    try groups.write(group, position: shown, timeMicroseconds: storeOptions.clock.wallMicroseconds())
    saved = shown
    savedAt = now
  }

  // MARK: Lines

  private func show(_ batch: Batch, _ noEffect: ReplayedLog.NoEffectList) throws(StoreError) {
    guard batch.lastPosition > shown, !isEnding else { return }
    var rest = noEffect[...]
    var commands = batch.commands()
    let time = EventTime.text(batch.timeMicroseconds)
    while let command = commands.next() {
      var reason: UInt8?
      if let next = rest.first, Int(next.index) == command.index {
        reason = next.reason
        rest.removeFirst()
      }
      try fields.note(command, reason: reason)
      let position = batch.firstPosition + UInt64(command.index)
      if position <= shown || position < first ?? 1 { continue }
      let name = fields.tableName(command)
      if let wantedTable, name.map(folded) != wantedTable { continue }
      try write(command, position, name, reason, batch, time)
    }
    shown = batch.lastPosition
    try save(isDue: false)
  }

  private func write(
    _ command: Command, _ position: UInt64, _ name: String?, _ reason: UInt8?, _ batch: Batch, _ time: String
  ) throws(StoreError) {
    line.removeAll()
    put("{\"position\":\(position),\"time\":\"\(time)\",\"session\":\(Int64(bitPattern: batch.session)),\"shard\":")
    put(fields.shard(command).map { "\($0)" } ?? "null")
    put(",\"table\":")
    if let name { line.append(json: name) } else { put("null") }
    put(",\"kind\":\"\(EventFields.kind(command))\",\"key\":")
    if try !fields.appendKey(command, to: &line) { put("null") }
    put(",\"row\":")
    if try !fields.appendRow(command, position: position, to: &line) { put("null") }
    put(",\"accepted\":\(reason == nil ? 1 : 0),\"reason\":")
    if let reason { line.append(json: fields.words(reason, command)) } else { put("null") }
    put("}\n")
    output.write(line.bytes)
  }

  private func put(_ text: String) { line.append(Array(text.utf8)) }
}

extension StoreTail: BatchListener {
  /// What the tables hold is shown from the log, with what it records.
  func begin(after position: UInt64, _ follower: LogFollower, _ catalog: Catalog) throws(StoreError) {
    do throws(StoreError) {
      fields.names.catalog = catalog
      self.follower = follower
      shown = min(shown, follower.lastPosition)
      let start = max(first ?? follower.firstPosition, shown + 1)
      if start < follower.firstPosition {
        failure = StoreError(
          .invalid, "position \(start) is gone: the log of \(path) begins at \(follower.firstPosition)")
      }
      if let failure { throw failure }
      first = first ?? start
      shown = max(shown, min(start - 1, follower.lastPosition))
      guard start <= position else { return }
      do {
        let reader = try follower.recordedReader(after: start - 1, upTo: position)
        while !isEnding, let recorded = try reader.next() { try show(recorded.batch, recorded.noEffect) }
      } catch { throw StoreError(converting: error) }
    } catch {
      if error.kind == .invalid { failure = error }
      throw error
    }
  }

  func take(_ batch: Batch, _ noEffect: ReplayedLog.NoEffectList, _ catalog: Catalog) throws(StoreError) {
    fields.names.catalog = catalog
    do throws(StoreError) { try show(batch, noEffect) } catch {
      failure = error
      throw error
    }
  }
}
