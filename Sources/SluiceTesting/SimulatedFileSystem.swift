// A file system in memory that behaves as badly as the contract in SluiceSystem/FileSystem.swift allows, and traps
// when its user breaks rule 1 of that contract (writes front to back, never over durable bytes).
//
// It counts calls, so that a test can stop a workload at each of them:
//
//     let whole = SimulatedFileSystem()
//     try workload(whole)
//     for call in 1...whole.callCount {
//       let disk = SimulatedFileSystem()
//       disk.crash(at: call, seed: seed)
//       do { try workload(disk) } catch is SystemError {}          // EIO "crashed"
//       try check(disk.crashImage(.seeded(seed)))                  // what the next process finds
//     }
//
// Everything is deterministic for the same calls and seeds.
import Glibc
import SluiceSystem

/// Files in memory with faults, crashes and crash images. Safe to use from any thread.
/// Paths are relative to one root, which exists and is durable; a leading `/` says nothing.
/// A rename across directories is refused with `EXDEV`.
public final class SimulatedFileSystem: FileSystem {
  private let state: Monitor<SimulatedState>

  public init() { state = Monitor(SimulatedState()) }

  private init(root: SimulatedNode) { state = Monitor(SimulatedState(root: root)) }

  // MARK: Crashes and faults

  /// Calls so far that change something: create, createDirectory, write, sync, truncate, rename, remove,
  /// syncDirectory, lock.
  public var callCount: Int { state.withLock { $0.callCount } }

  /// Whether the crash has happened.
  public var isCrashed: Bool { state.withLock { $0.isCrashed } }

  /// Makes call number `call` (from 1, see `callCount`) the last: by `seed` it happens, does not happen or, of a
  /// write, happens by half; it and every later call throw `EIO` with the detail "crashed".
  public func crash(at call: Int, seed: UInt64 = 0) {
    state.withLock {
      $0.crashAt = call
      $0.crashRandom = SeededRandom(seed: seed)
    }
  }

  /// Adds faults, one per line; the grammar is at the head of Fault.swift.
  public func inject(_ lines: String) throws(FaultSyntaxError) {
    for line in lines.split(separator: "\n") {
      let fault = try Fault(String(line))
      state.withLock { state in
        switch fault.effect {
        case .full(let after): state.room = after
        case .crash(let call): state.crashAt = call
        case .fail, .shortWrite, .flipBit: state.faults.append(fault)
        }
      }
    }
  }

  /// Takes all faults back, also a full disk and a crash to come.
  public func clearFaults() {
    state.withLock {
      $0.faults = []
      $0.room = nil
      $0.crashAt = nil
    }
  }

  /// What the next process finds: a file system of its own in which everything is durable and nothing is open, locked
  /// or faulty. Unsynced sectors, sizes and names are kept or lost as `mode` says. This one stays as it is.
  public func crashImage(_ mode: CrashMode) -> SimulatedFileSystem {
    state.withLock { state in
      var image = CrashImage(mode)
      let root = image.copy(state.root)
      if case .seeded = mode { image.keepSome(of: state.changes) }
      return SimulatedFileSystem(root: image.settled(root))
    }
  }

  /// As `crashImage(.seeded(seed))`.
  public func crashImage(seed: UInt64) -> SimulatedFileSystem { crashImage(.seeded(seed)) }

  /// The bytes a reader would see, faults apart; nil when there is no such file. For tests that look into files.
  public func content(_ path: String) -> [UInt8]? {
    state.withLock { state in
      guard let node = state.find(path), !node.isDirectory else { return nil }
      return [UInt8](node.live.bytes)
    }
  }

  /// Puts a durable file of this content at `path`, whose directory exists. Not counted. For tests that damage files.
  public func setContent(_ path: String, _ bytes: [UInt8]) throws(SystemError) {
    try state.withLock { (state) throws(SystemError) in
      if state.find(path) == nil {
        try state.addName("open", path, SimulatedNode(isDirectory: false))
        state.changes.removeLast().apply()
      }
      try state.node("open", path, directory: false).replace(bytes)
    }
  }

  // MARK: FileSystem

  public func open(_ path: String, _ mode: OpenMode) throws(SystemError) -> any File {
    let handle = try state.withLock { (state) throws(SystemError) in
      if mode == .create {
        try state.perform(.create, path) { (state) throws(SystemError) in
          try state.addName("open", path, SimulatedNode(isDirectory: false))
        }
      } else if let error = state.judge(.open, path).error {
        throw error
      }
      return state.open(try state.node("open", path, directory: false))
    }
    return SimulatedFile(path: path, handle: handle, isWritable: mode != .read, state: state)
  }

  public func createDirectory(_ path: String) throws(SystemError) {
    try state.withLock { (state) throws(SystemError) in
      try state.perform(.createDirectory, path) { (state) throws(SystemError) in
        try state.addName("mkdir", path, SimulatedNode(isDirectory: true))
      }
    }
  }

  public func list(_ path: String) throws(SystemError) -> [String] {
    try state.withLock { (state) throws(SystemError) in
      try state.failIfCrashed("opendir", path)
      return try state.node("opendir", path, directory: true).names.keys.sorted()
    }
  }

  public func exists(_ path: String) throws(SystemError) -> Bool {
    try state.withLock { (state) throws(SystemError) in
      try state.failIfCrashed("access", path)
      return state.find(path) != nil
    }
  }

  public func rename(_ source: String, to target: String) throws(SystemError) {
    try state.withLock { (state) throws(SystemError) in
      try state.perform(.rename, source, orPath: target) { (state) throws(SystemError) in
        try state.moveName(source, target)
      }
    }
  }

  public func remove(_ path: String) throws(SystemError) {
    try state.withLock { (state) throws(SystemError) in
      try state.perform(.remove, path) { (state) throws(SystemError) in
        let size = state.find(path)?.size ?? 0
        try state.removeName(path)
        state.room? += size
      }
    }
  }

  public func syncDirectory(_ path: String) throws(SystemError) {
    try state.withLock { (state) throws(SystemError) in
      try state.perform(.syncDirectory, path) { (state) throws(SystemError) in try state.syncNames(path) }
    }
  }

  public func lock(_ path: String, holder: String) throws(SystemError) -> any FileLock {
    let key = SimulatedState.normal(path)
    try state.withLock { (state) throws(SystemError) in
      try state.perform(.lock, path) { (state) throws(SystemError) in
        if let other = state.locks[key] {
          throw SystemError(call: "flock", path: path, code: EWOULDBLOCK, detail: other)
        }
        if state.find(path) == nil { try state.addName("open", path, SimulatedNode(isDirectory: false)) }
        let node = try state.node("open", path, directory: false)
        node.truncate(to: 0)
        Array(holder.utf8).withUnsafeBytes { node.write($0, at: 0) }
        state.locks[key] = holder
      }
    }
    return SimulatedLock(key: key, state: state)
  }

  /// The room that `full after` leaves; a tebibyte where there is no such bound.
  public func freeBytes(_ path: String) throws(SystemError) -> UInt64 {
    try state.withLock { (state) throws(SystemError) in
      try state.failIfCrashed("statvfs", path)
      return state.room.map { UInt64(max(0, $0)) } ?? Self.size
    }
  }

  public func sizeBytes(_ path: String) throws(SystemError) -> UInt64 { Self.size }

  private static let size: UInt64 = 1 << 40

  public func isLocked(_ path: String) throws(SystemError) -> Bool? {
    try state.withLock { (state) throws(SystemError) in
      try state.failIfCrashed("stat", path)
      return state.locks[SimulatedState.normal(path)] != nil
    }
  }
}

private final class SimulatedLock: FileLock {
  private let key: String
  private let state: Monitor<SimulatedState>

  init(key: String, state: Monitor<SimulatedState>) {
    self.key = key
    self.state = state
  }

  func release() { state.withLock { $0.locks[key] = nil } }
}
