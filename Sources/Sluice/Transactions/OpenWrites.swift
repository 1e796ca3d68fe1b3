// What a transaction, or one changing statement, has written and nobody else sees: commands in a batch that is not sent
// yet, over the snapshot that the transaction reads. Reads of the session find its own rows here first.
//
// The first command on a key carries the condition under which all of this holds: the position of the version that was
// read, or that there was none. Later ones on the same key need no condition. When the batch is applied and some
// condition does not hold any more, another session was faster, and the whole batch has no effect.
//
// A table that an early store made without primary key is keyed by position, which a row gets at COMMIT. Until then its
// key is a provisional position above all real ones; a row that is changed again before COMMIT is written once, in its
// first place. Where its table was altered in between, that goes before it: no row is older than the definition it was
// made for.
//
// A command whose key stands above all keys before it, as in a load in key order, is looked for by nobody until some
// key does not: until then it is not in the index, which costs a cache miss for each.
//
// The batch's memory never moves: its address space is reserved at once, and the system gives pages as they are
// touched. So walks may point into it while more is written. Unsafe by nature: named in the tidy test.
import SluiceLSM
import SluiceLog
import SluiceSystem

final class OpenWrites {
  /// Rows that a transaction which reads, or one statement, can hold.
  let limitBytes: Int
  /// What is asked for, in turn: a process with little address space can do with less.
  private static let limits = [BatchLimits.bodySizeBytes, 64 << 20, 16 << 20, 4 << 20]
  /// What a builder needs besides.
  private static let marginBytes = 1 << 16
  /// Batch memory beyond which it is given back rather than used again.
  private static let spareBytes = 1 << 20
  private static let firstProvisional: UInt64 = 1 << 54

  /// All shards at one position.
  private(set) var snapshots: [Snapshot]
  private var builder: BatchBuilder
  private var index = WriteIndex()
  /// Bytes of the batch's body whose commands are in the index. Those behind have keys above all before them, rising.
  private var indexedSize = 0
  /// No key is above this one. What was rolled back counts.
  private var topKey = ByteBuffer(capacity: 64)
  private(set) var ordered = OrderedWrites()
  private var nextProvisional = OpenWrites.firstProvisional
  /// Whether a row with a provisional key was written twice.
  private var hasRewritten = false
  private var scratch = LookupScratch()
  /// Highest stored key of each SQL table by shard, once it was asked for: most new rows stand above.
  private var highest: [UInt32: [[UInt8]?]] = [:]
  /// The entry of `highest` that was asked for last.
  private var lastHighest: (table: UInt32, keys: [[UInt8]?])?

  /// All shards as they are now, for a transaction that wants to know at once that a row it changes is not what it has
  /// read; nil from it: nothing was committed since. Without it COMMIT finds out.
  var present: (() -> [Snapshot]?)?

  /// Rises when rows are taken back that somebody may be walking over.
  private(set) var generation = 0
  /// Bytes of the batch that somebody may look at.
  private var shownBytes = 0
  /// The batch, which may hold the memory that walks still point into.
  private var sealed: Batch?

  /// One write, to be taken back.
  private struct Undo {
    let hash: UInt64
    let offset: Int
    let previous: Int
  }
  private var undo: [Undo] = []

  init(_ snapshots: [Snapshot]) {
    self.snapshots = snapshots
    limitBytes = Self.limits.first { canReserve($0 + Self.marginBytes) } ?? Self.limits[Self.limits.count - 1]
    builder = BatchBuilder(capacity: limitBytes + Self.marginBytes, isReserved: true)
  }

  deinit { index.free() }

  var isEmpty: Bool { builder.isEmpty }

  /// Begins anew over another snapshot. False when the object is better thrown away, for the memory it holds.
  func reset(_ snapshots: [Snapshot]) -> Bool {
    guard builder.size < Self.spareBytes, sealed.map({ $0.size < Self.spareBytes }) ?? true else { return false }
    sealed = nil
    shownBytes = 0
    builder.rollback(to: emptyMark)
    undo.removeAll(keepingCapacity: true)
    hasRewritten = false
    index.clear(expecting: 0)
    indexedSize = 0
    topKey.removeAll()
    ordered.removeAll()
    highest = [:]
    lastHighest = nil
    nextProvisional = Self.firstProvisional
    self.snapshots = snapshots
    return true
  }

  /// Lets go of the snapshot; nothing is read or written until `reset`.
  func end() {
    snapshots = []
    present = nil
    highest = [:]
  }

  private lazy var emptyMark = BatchBuilder(capacity: 256).mark()

  // MARK: Marks

  /// A place to roll back to.
  struct Mark {
    fileprivate let builder: BatchBuilder.Mark
    fileprivate let commandCount: Int
    fileprivate let bodySize: Int
    fileprivate let hasRewritten: Bool
  }

  func mark() -> Mark {
    Mark(
      builder: builder.mark(), commandCount: builder.commandCount, bodySize: bodySize, hasRewritten: hasRewritten)
  }

  /// Forgets what was written since `mark`.
  func rollback(to mark: Mark) {
    guard builder.commandCount > mark.commandCount else { return }
    while let last = undo.last, last.offset >= mark.bodySize {
      undo.removeLast()
      index.takeBack(hash: last.hash, offset: last.offset, previous: last.previous)
    }
    builder.rollback(to: mark.builder)
    indexedSize = min(indexedSize, mark.bodySize)
    if mark.bodySize < shownBytes {
      generation += 1
      shownBytes = mark.bodySize
    }
    hasRewritten = mark.hasRewritten
    ordered.removeAll()
  }

  // MARK: Reading

  /// What is known of a key.
  enum State {
    case missing
    /// In the snapshot, written at this position.
    case stored(UInt64)
    /// Written by the transaction itself, or deleted.
    case own(isAlive: Bool)

    var isAlive: Bool {
      switch self {
      case .missing: false
      case .stored: true
      case .own(let isAlive): isAlive
      }
    }
  }

  /// The state of an engine key, which lies in `shard` (nil: in any of them). About 0.1 µs for a new key above all
  /// others of its table, else what a point read costs.
  func state(of key: UnsafeRawBufferPointer, shard: Int?) throws(StoreError) -> State {
    if let command = own(key) { return .own(isAlive: !command.kind.removes) }
    let position = try stored(key, shard) { $0.position }
    return position.map(State.stored) ?? .missing
  }

  /// Calls `body` with the row of an engine key, its own or a stored one, and returns its result; nil when there is
  /// none.
  func row<R>(
    of key: UnsafeRawBufferPointer, shard: Int?, _ body: (UnsafeRawBufferPointer) -> R
  ) throws(StoreError) -> R? {
    if let command = own(key) { return command.kind.removes ? nil : body(command.row) }
    return try stored(key, shard) { body($0.value) }
  }

  /// The transaction's own newest command on a key, among those in the first `size` bytes of the batch.
  func own(_ key: UnsafeRawBufferPointer, within size: Int = .max) -> Command? {
    if size == 0 || builder.isEmpty || isAboveOwn(key) { return nil }
    indexAll()
    var offset = index.find(key, hash: hash(key), in: builder.body)
    while offset >= size { offset = previous(of: offset) }
    guard offset >= 0 else { return nil }
    var reader = CommandReader(body: builder.body, offset: offset)
    return reader.next()
  }

  private func stored<R>(
    _ key: UnsafeRawBufferPointer, _ shard: Int?, _ body: (Entry) -> R
  ) throws(StoreError) -> R? {
    do {
      guard let shard else {
        for snapshot in snapshots {
          if let found = try snapshot.find(key, &scratch, body) { return found }
        }
        return nil
      }
      if try isAboveAll(key, shard) { return nil }
      return try snapshots[shard].find(key, &scratch, body)
    } catch { throw StoreError(error) }
  }

  /// Whether a key stands above all stored ones of its SQL table in its shard.
  private func isAboveAll(_ key: UnsafeRawBufferPointer, _ shard: Int) throws(EngineError) -> Bool {
    let table = UInt32(bigEndian: key.loadUnaligned(as: UInt32.self))
    if lastHighest?.table != table { lastHighest = (table, try highestKeys(table, key)) }
    guard let last = lastHighest?.keys[shard] else { return true }
    return last.withUnsafeBytes { compareBytes(key, $0) > 0 }
  }

  private func highestKeys(_ table: UInt32, _ key: UnsafeRawBufferPointer) throws(EngineError) -> [[UInt8]?] {
    if let known = highest[table] { return known }
    let prefix = [UInt8](key[..<4])
    let keys = try snapshots.map { snapshot throws(EngineError) -> [UInt8]? in
      let last = snapshot.iterator(prefix: prefix, isForward: false)
      return try last.next() ? [UInt8](last.current.key) : nil
    }
    highest[table] = keys
    return keys
  }

  /// Where the command before the one at `offset` on the same key begins, or -1.
  private func previous(of offset: Int) -> Int {
    var (low, high) = (0, undo.count)
    while low < high {
      let middle = (low + high) / 2
      if undo[middle].offset < offset { low = middle + 1 } else { high = middle }
    }
    invariant(low < undo.count && undo[low].offset == offset, "a command that is not in the index")
    return undo[low].previous
  }

  /// Shows somebody what was written so far: that many bytes of the batch.
  func show() -> Int {
    if builder.isEmpty { return 0 }
    shownBytes = max(shownBytes, bodySize)
    return bodySize
  }

  /// The rows in the first `size` bytes of the batch, in key order; nil when there are none. It stays as it is while
  /// somebody holds it.
  func overlay(of size: Int) -> EntryOverlay? {
    if size == 0 { return nil }
    ordered.update(from: UnsafeRawBufferPointer(rebasing: builder.body[..<size]))
    return ordered.entries
  }

  private func hash(_ key: UnsafeRawBufferPointer) -> UInt64 { SluiceSystem.hash(key, seed: 0) }

  // MARK: Writing

  /// Puts a row under a key whose state is `state`. The slot is nil where it follows from a position to come.
  func put(
    key: UnsafeRawBufferPointer, row: UnsafeRawBufferPointer, slot: UInt16?, line: Int, over state: State
  ) throws(StoreError) {
    try checkRoom(key.count, row.count + 8)
    let offset = bodySize
    let starts = builder.isEmpty
    if isProvisional(key) {
      hasRewritten = true
      builder.appendPositionKeyed(
        tableID: UInt32(bigEndian: key.loadUnaligned(as: UInt32.self)), kind: .insert, slot: slot,
        startsStatement: starts, line: line, value: row, provisional: provisional(key))
      return note(key, offset)
    }
    guard let slot else { preconditionFailure("a row without a slot") }
    switch state {
    case .missing: builder.append(kind: .insert, startsStatement: starts, slot: slot, line: line, key: key, value: row)
    case .own: builder.append(kind: .put, startsStatement: starts, slot: slot, line: line, key: key, value: row)
    case .stored(let position):
      if present != nil { try confirm(key, position) }
      builder.append(
        kind: .putIf, startsStatement: starts, slot: slot, line: line, key: key, row: row, expectedPosition: position)
    }
    note(key, offset)
  }

  /// Throws when the row of a key is not the one at `position` any more.
  @inline(never)
  private func confirm(_ key: UnsafeRawBufferPointer, _ position: UInt64) throws(StoreError) {
    guard let snapshots = present?() else { return }
    var newest: UInt64?
    do {
      for snapshot in snapshots where newest == nil { newest = try snapshot.find(key, &scratch) { $0.position } }
    } catch { throw StoreError(error) }
    if newest == position { return }
    throw StoreError(
      .conflict,
      "the row changed meanwhile: another session was faster than this transaction, which can only be "
        + "rolled back and begun anew", sqliteCode: 5)
  }

  /// Removes the row of a key whose state is `state`, which is alive.
  func delete(key: UnsafeRawBufferPointer, slot: UInt16, line: Int, over state: State) throws(StoreError) {
    try checkRoom(key.count, 8)
    let offset = bodySize
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    if case .stored(let position) = state {
      if present != nil { try confirm(key, position) }
      builder.append(
        kind: .deleteIf, startsStatement: builder.isEmpty, slot: slot, line: line, key: key, row: nothing,
        expectedPosition: position)
    } else {
      hasRewritten = hasRewritten || isProvisional(key)
      builder.append(kind: .delete, startsStatement: builder.isEmpty, slot: slot, line: line, key: key, value: nothing)
    }
    note(key, offset)
  }

  /// Adds a row to a table that is keyed by position. Returns its provisional position.
  func appendStream(
    tableID: UInt32, row: UnsafeRawBufferPointer, slot: UInt16?, line: Int
  ) throws(StoreError) -> UInt64 {
    try checkRoom(12, row.count)
    let offset = bodySize
    let provisional = nextProvisional
    nextProvisional += 1
    builder.appendPositionKeyed(
      tableID: tableID, kind: .insert, slot: slot, startsStatement: builder.isEmpty, line: line, value: row,
      provisional: provisional)
    var key = (
      tableID.bigEndian, UInt32(truncatingIfNeeded: provisional >> 32).bigEndian,
      UInt32(truncatingIfNeeded: provisional).bigEndian
    )
    withUnsafeBytes(of: &key) { note($0, offset) }
    return provisional
  }

  /// Adds a change of the catalog.
  func append(_ change: CatalogChange, line: Int) throws(StoreError) {
    let key = change.key
    let value = change.encoded()
    try checkRoom(key.count, value.count)
    key.withUnsafeBytes { key in
      value.withUnsafeBytes { value in
        builder.append(
          kind: .catalog, startsStatement: builder.isEmpty, slot: 0, line: line, key: key, value: value)
      }
    }
  }

  private var bodySize: Int { builder.body.count }

  @inline(__always)
  private func isAboveOwn(_ key: UnsafeRawBufferPointer) -> Bool { compareBytes(key, topKey.bytes) > 0 }

  /// Takes note of the command at `offset`, the last one.
  private func note(_ key: UnsafeRawBufferPointer, _ offset: Int) {
    if isAboveOwn(key) {
      topKey.removeAll()
      topKey.append(key)
      return
    }
    indexAll()
  }

  /// Brings all commands into the index.
  @inline(__always)
  private func indexAll() { if indexedSize < bodySize { indexRest() } }

  @inline(never)
  private func indexRest() {
    let body = builder.body
    while indexedSize < body.count {
      var reader = CommandReader(body: body, offset: indexedSize)
      guard let command = reader.next() else { preconditionFailure("a command that was just written") }
      if command.kind != .catalog {
        let hash = hash(command.key)
        let previous = index.set(hash: hash, offset: indexedSize, in: body)
        undo.append(Undo(hash: hash, offset: indexedSize, previous: previous))
      }
      indexedSize = reader.offset
    }
  }

  func checkRoom(_ keySize: Int, _ rowSize: Int) throws(StoreError) {
    // Below the reserved size the memory does not move.
    let isWithin = builder.size + keySize + rowSize + Self.marginBytes / 2 <= limitBytes + Self.marginBytes
    if isWithin, builder.fits(keySize: keySize, valueSize: rowSize) { return }
    throw .tooBig(
      keySize: keySize, rowSize: rowSize,
      otherwise: "transaction too big: a statement that SQLite evaluates, or a transaction that reads what it wrote, "
        + "holds at most \(limitBytes >> 20) MiB of rows; insert by plain VALUES, or in parts")
  }

  // MARK: Provisional keys

  /// No encoded primary key begins with a zero byte, as these do.
  private func isProvisional(_ key: UnsafeRawBufferPointer) -> Bool {
    key.count == 12 && (Self.firstProvisional..<nextProvisional).contains(provisional(key))
  }

  private func provisional(_ key: UnsafeRawBufferPointer) -> UInt64 {
    UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
  }

  // MARK: Ending

  var sizeBytes: Int { builder.size }

  /// Whether it takes rows and definitions away and adds none.
  var makesRoom: Bool { builder.makesRoom }

  /// The batch of all that was written, one statement in the log; nil when nothing is left of it. The last thing done
  /// before `reset`.
  func seal(timeMicroseconds: Int64, session: UInt64) -> Batch? {
    if hasRewritten {
      var kept = newest()
      sealed = kept.isEmpty ? nil : kept.seal(timeMicroseconds: timeMicroseconds, session: session)
    } else {
      sealed = builder.isEmpty ? nil : builder.seal(timeMicroseconds: timeMicroseconds, session: session)
    }
    return sealed
  }

  /// Where the row with a provisional key will stand in the batch, counted from 0; nil: it is gone.
  func place(ofProvisional wanted: UInt64) -> Int? {
    var place = 0
    var seen: Set<UInt64> = []
    var reader = CommandReader(body: builder.body)
    while let command = reader.next() {
      if hasRewritten, isProvisional(command.key) {
        let position = provisional(command.key)
        guard seen.insert(position).inserted, let newest = own(command.key), newest.kind != .delete else { continue }
        if position == wanted { return place }
      } else if isProvisional(command.key), provisional(command.key) == wanted {
        return place
      }
      place += 1
    }
    return nil
  }

  /// The batch with each row of a provisional key once: its newest image in the place of its first.
  private func newest() -> BatchBuilder {
    var kept = BatchBuilder(capacity: builder.size)
    var seen: Set<UInt64> = []
    var changes = catalogChanges[...]
    var reader = CommandReader(body: builder.body)
    while let command = reader.next() {
      if command.kind == .catalog {
        guard changes.first?.offset == command.offset else { continue }
        changes.removeFirst()
        kept.append(command, line: command.line)
      } else if isProvisional(command.key) {
        guard seen.insert(provisional(command.key)).inserted, let newest = own(command.key), newest.kind != .delete
        else { continue }
        let tableID = UInt32(bigEndian: command.key.loadUnaligned(as: UInt32.self))
        if let last = changes.lastIndex(where: { $0.offset < newest.offset && $0.alteredTable == tableID }) {
          for change in changes[...last] {
            var reader = CommandReader(body: builder.body, offset: change.offset)
            if let change = reader.next() { kept.append(change, line: command.line) }
          }
          changes = changes[(last + 1)...]
        }
        kept.appendPositionKeyed(
          tableID: tableID, kind: .insert, slot: newest.isPositionSlotted ? nil : newest.slot,
          startsStatement: kept.isEmpty, line: command.line, value: newest.row)
      } else {
        kept.append(command, line: command.line)
      }
    }
    return kept
  }

  /// Where the changes of the catalog stand in the batch, and which table each alters.
  private var catalogChanges: [(offset: Int, alteredTable: UInt32?)] {
    var result: [(offset: Int, alteredTable: UInt32?)] = []
    var reader = CommandReader(body: builder.body)
    while let command = reader.next() {
      guard command.kind == .catalog else { continue }
      let change = CatalogChange.decode(command.value)
      let isAlteration = change?.operation == .alter && change?.object == .table
      result.append((command.offset, isAlteration ? change?.tableID : nil))
    }
    return result
  }
}

extension BatchBuilder {
  /// Adds a command of another builder to the one statement of this one.
  fileprivate mutating func append(_ command: Command, line: Int) {
    append(
      kind: command.kind, startsStatement: isEmpty, slot: command.slot, line: line, key: command.key,
      value: command.value)
  }
}

extension BatchBuilder {
  /// Whether its commands take rows and definitions away and add none.
  var makesRoom: Bool {
    var reader = CommandReader(body: body)
    while let command = reader.next() {
      let isDrop = command.kind == .catalog && CatalogChange.decode(command.value)?.makesRoom == true
      guard isDrop || command.kind.removes || command.kind == .clear else { return false }
    }
    return true
  }
}
