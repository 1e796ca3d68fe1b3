// An open file of the simulated file system: it finds its node by handle, under the monitor of the file system.
// Unsafe by nature: named in the tidy test.
import Glibc
import SluiceSystem

final class SimulatedFile: File {
  let path: String
  private let handle: Int
  private let isWritable: Bool
  private let state: Monitor<SimulatedState>

  init(path: String, handle: Int, isWritable: Bool, state: Monitor<SimulatedState>) {
    self.path = path
    self.handle = handle
    self.isWritable = isWritable
    self.state = state
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    guard let start = Int(exactly: offset) else { throw SystemError(call: "pread", path: path, code: EINVAL) }
    return try state.withLock { (state) throws(SystemError) in
      if let error = state.judge(.read, path).error { throw error }
      let count = state.file(handle, path).read(at: start, into: buffer)
      for fault in state.faults {
        guard case .flipBit(let at, let bit) = fault.effect, matchesPath(fault.pattern, path) else { continue }
        if at >= start, at - start < count { buffer[at - start] ^= UInt8(1) << UInt8(bit) }
      }
      return count
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(SystemError) {
    let start = try check("pwrite", offset)
    try state.withLock { (state) throws(SystemError) in
      let node = state.file(handle, path)
      var verdict = state.judge(.write, path)
      if verdict.portion == .none { throw verdict.error! }
      if let violation = node.violation(bytes, at: start) {
        fatalError("\(path): \(violation) (rule 1 in FileSystem.swift)")
      }
      let wanted = verdict.portion == .half ? bytes.count / 2 : bytes.count
      let end = max(node.size, start + wanted)
      let granted = state.grant(end, node)
      let count = granted < end ? granted - start : wanted
      node.write(UnsafeRawBufferPointer(rebasing: bytes[..<max(0, count)]), at: start)
      if count < wanted, verdict.error == nil { verdict.error = full("pwrite") }
      if let error = verdict.error { throw error }
    }
  }

  func sync() throws(SystemError) {
    try state.withLock { (state) throws(SystemError) in
      let node = state.file(handle, path)
      let verdict = state.judge(.sync, path)
      if verdict.portion == .whole { node.sync() }
      guard let error = verdict.error else { return }
      if !state.isCrashed { node.failSync() }
      throw error
    }
  }

  func startWriteback(at offset: UInt64, size: UInt64) {
    // What has begun to be written back may or may not have arrived: just what unsynced means already.
  }

  func truncate(to size: UInt64) throws(SystemError) {
    let wanted = try check("ftruncate", size)
    try state.withLock { (state) throws(SystemError) in
      let node = state.file(handle, path)
      let verdict = state.judge(.truncate, path)
      if verdict.portion == .whole {
        let room = state.room
        if state.grant(wanted, node) < wanted {
          state.room = room
          throw full("ftruncate")
        }
        node.truncate(to: wanted)
      }
      if let error = verdict.error { throw error }
    }
  }

  func size() throws(SystemError) -> UInt64 {
    try state.withLock { (state) throws(SystemError) in
      try state.failIfCrashed("fstat", path)
      return UInt64(state.file(handle, path).size)
    }
  }

  func close() { state.withLock { $0.openFiles[handle] = nil } }

  private func full(_ call: String) -> SystemError { SystemError(call: call, path: path, code: ENOSPC) }

  /// The number as an `Int`, of a file that may be changed. 1 TiB is the largest file, to catch garbage early.
  private func check(_ call: String, _ number: UInt64) throws(SystemError) -> Int {
    if !isWritable { throw SystemError(call: call, path: path, code: EBADF) }
    if number > 1 << 40 { throw SystemError(call: call, path: path, code: EFBIG) }
    return Int(number)
  }
}
