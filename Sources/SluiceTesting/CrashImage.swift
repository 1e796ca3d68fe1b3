// Builds what a power cut leaves: a copy of the durable tree, then of the names that were not durable a seeded part.
// Directories are walked in name order and changes in the order they were made, so that a seed means the same image.
import SluiceSystem

struct CrashImage {
  private let mode: CrashMode
  private var random: SeededRandom
  private var copies: [ObjectIdentifier: SimulatedNode] = [:]

  init(_ mode: CrashMode) {
    self.mode = mode
    if case .seeded(let seed) = mode { random = SeededRandom(seed: seed) } else { random = SeededRandom(seed: 0) }
  }

  /// The node as the crash leaves it; in a copied directory only `durableNames` are filled.
  mutating func copy(_ node: SimulatedNode) -> SimulatedNode {
    if let known = copies[ObjectIdentifier(node)] { return known }
    let result = node.isDirectory ? SimulatedNode(isDirectory: true) : node.crashed(mode, &random)
    copies[ObjectIdentifier(node)] = result
    let names: [String: SimulatedNode]
    if case .keepAll = mode { names = node.names } else { names = node.durableNames }
    for (name, child) in names.sorted(by: { $0.key < $1.key }) {
      let child = copy(child)
      result.durableNames[name] = child
      child.durablePlace = SimulatedPlace(directory: result, name: name)
    }
    return result
  }

  /// Keeps a part of the changes; those lost have never been.
  mutating func keepSome(of changes: [NameChange]) {
    let eighths = [0, 1, 4, 7, 8][random.below(5)]
    for change in changes where random.chance(eighths, of: 8) {
      NameChange(directory: copy(change.directory), node: copy(change.node), name: change.name).apply()
    }
  }

  /// The tree with live names equal to the durable ones.
  func settled(_ node: SimulatedNode) -> SimulatedNode {
    node.names = node.durableNames
    for child in node.names.values where child.isDirectory { _ = settled(child) }
    return node
  }
}
