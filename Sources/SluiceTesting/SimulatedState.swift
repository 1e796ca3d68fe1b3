// What stands behind the monitor of a SimulatedFileSystem: the tree, the names that are not durable yet, the open
// files, the locks, and the verdict on each call (does it happen, in part, not at all; what does it throw).
import Glibc
import SluiceSystem

/// A name created, moved or removed since its directory was last synced. In a power cut each is kept or lost
/// by itself; a rename as a whole, for it takes the node away from where it was.
struct NameChange {
  let directory: SimulatedNode
  let node: SimulatedNode
  /// The name the node has after the change; nil after a removal.
  let name: String?

  /// Does it to the durable names.
  func apply() {
    if let old = node.durablePlace, old.directory.durableNames[old.name] === node {
      old.directory.durableNames[old.name] = nil
    }
    node.durablePlace = nil
    guard let name else { return }
    directory.durableNames[name]?.durablePlace = nil
    directory.durableNames[name] = node
    node.durablePlace = SimulatedPlace(directory: directory, name: name)
  }
}

/// How much of a call happens before it returns or throws.
struct Verdict {
  enum Portion { case none, half, whole }
  var portion = Portion.whole
  var error: SystemError?
}

struct SimulatedState {
  var root = SimulatedNode(isDirectory: true)
  var changes: [NameChange] = []
  var openFiles: [Int: SimulatedNode] = [:]
  var lastHandle = 0
  var locks: [String: String] = [:]
  var faults: [Fault] = []
  /// Bytes files may still grow by; nil: no bound.
  var room: Int?
  var callCount = 0
  var crashAt: Int?
  var crashRandom = SeededRandom(seed: 0)
  var isCrashed = false

  // MARK: Verdicts

  /// Counts a call and decides what becomes of it.
  mutating func judge(_ call: FileCall, _ paths: String...) -> Verdict {
    func error(_ detail: String) -> SystemError {
      SystemError(call: call.systemName, path: paths[0], code: EIO, detail: detail)
    }
    if isCrashed { return Verdict(portion: .none, error: error("crashed")) }
    if call.changes {
      callCount += 1
      if callCount == crashAt {
        isCrashed = true
        let portion: Verdict.Portion = [.none, .half, .whole][crashRandom.below(3)]
        return Verdict(portion: portion, error: error("crashed"))
      }
    }
    var verdict = Verdict()
    for index in faults.indices where faults[index].strikes(call, paths) {
      let short = faults[index].effect == .shortWrite
      verdict = Verdict(portion: short ? .half : .none, error: error(short ? "short write" : "injected"))
    }
    return verdict
  }

  /// For calls that cannot happen by half: judges, does `body` if it happens, then throws what the verdict says.
  mutating func perform(
    _ call: FileCall, _ paths: String, orPath other: String? = nil,
    _ body: (inout SimulatedState) throws(SystemError) -> Void
  ) throws(SystemError) {
    let verdict = other.map { judge(call, paths, $0) } ?? judge(call, paths)
    if verdict.portion == .whole { try body(&self) }
    if let error = verdict.error { throw error }
  }

  func failIfCrashed(_ call: String, _ path: String) throws(SystemError) {
    if isCrashed { throw SystemError(call: call, path: path, code: EIO, detail: "crashed") }
  }

  // MARK: Paths

  private static func components(_ path: String) -> [Substring] {
    path.split(separator: "/").filter { $0 != "." }
  }

  /// The lock table's key for a path.
  static func normal(_ path: String) -> String { components(path).joined(separator: "/") }

  func find(_ path: String) -> SimulatedNode? {
    var node = root
    for component in Self.components(path) {
      guard let next = node.names[String(component)] else { return nil }
      node = next
    }
    return node
  }

  /// The node at `path`, of the wanted kind.
  func node(_ call: String, _ path: String, directory: Bool) throws(SystemError) -> SimulatedNode {
    guard let node = find(path) else { throw SystemError(call: call, path: path, code: ENOENT) }
    if node.isDirectory == directory { return node }
    throw SystemError(call: call, path: path, code: directory ? ENOTDIR : EISDIR)
  }

  /// The directory in which the last component of `path` stands or would stand, and that component.
  func parent(_ call: String, _ path: String) throws(SystemError) -> (directory: SimulatedNode, name: String) {
    let components = Self.components(path)
    guard let last = components.last else { throw SystemError(call: call, path: path, code: EEXIST) }
    guard let directory = find(components.dropLast().joined(separator: "/")) else {
      throw SystemError(call: call, path: path, code: ENOENT)
    }
    if !directory.isDirectory { throw SystemError(call: call, path: path, code: ENOTDIR) }
    return (directory, String(last))
  }

  // MARK: Names

  mutating func addName(_ call: String, _ path: String, _ node: SimulatedNode) throws(SystemError) {
    let (directory, name) = try parent(call, path)
    if directory.names[name] != nil { throw SystemError(call: call, path: path, code: EEXIST) }
    directory.names[name] = node
    changes.append(NameChange(directory: directory, node: node, name: name))
  }

  mutating func removeName(_ path: String) throws(SystemError) {
    let (directory, name) = try parent("unlink", path)
    let node = try node("unlink", path, directory: false)
    directory.names[name] = nil
    changes.append(NameChange(directory: directory, node: node, name: nil))
  }

  mutating func moveName(_ source: String, _ target: String) throws(SystemError) {
    let (directory, name) = try parent("rename", source)
    let (targetDirectory, targetName) = try parent("rename", target)
    guard let node = directory.names[name] else { throw SystemError(call: "rename", path: source, code: ENOENT) }
    // Across directories a rename is durable when both are synced; nothing in Sluice needs that.
    if directory !== targetDirectory { throw SystemError(call: "rename", path: source, code: EXDEV) }
    if name == targetName { return }
    if let there = directory.names[targetName] {
      if there.isDirectory { throw SystemError(call: "rename", path: target, code: EISDIR) }
      room? += there.size
    }
    directory.names[name] = nil
    directory.names[targetName] = node
    changes.append(NameChange(directory: directory, node: node, name: targetName))
  }

  mutating func syncNames(_ path: String) throws(SystemError) {
    let directory = try node("fsync", path, directory: true)
    for change in changes where change.directory === directory { change.apply() }
    changes.removeAll { $0.directory === directory }
  }

  // MARK: Files

  mutating func open(_ node: SimulatedNode) -> Int {
    lastHandle += 1
    openFiles[lastHandle] = node
    return lastHandle
  }

  func file(_ handle: Int, _ path: String) -> SimulatedNode {
    guard let node = openFiles[handle] else { fatalError("\(path) is used after close()") }
    return node
  }

  /// Counts growth against the room left; returns the size the node may have.
  mutating func grant(_ wanted: Int, _ node: SimulatedNode) -> Int {
    guard let left = room else { return wanted }
    let granted = min(wanted, node.size + max(0, left))
    room = left - (granted - node.size)
    return granted
  }
}
