// A skip list in an arena: at most 12 levels, one node in four goes a level higher, the key in the node (Pugh: Skip
// lists, a probabilistic alternative to balanced trees, 1990). One writer; readers beside it need only ordered stores.
// Unsafe by nature: named in the tidy test.
//
//   node: offset size
//              0   16  order
//             16    4  tail
//             24    8  record
//             32    8  the next node, for each of its levels

final class SkipList: MemtableStructure {
  static let title = "skip list"
  static let hasPointReads = true
  private static let levelLimit = 12

  private struct Node {
    let base: UnsafeMutableRawPointer

    @inline(__always) var order: UInt128 { base.load(as: UInt128.self) }
    @inline(__always) var tail: UInt32 { base.load(fromByteOffset: 16, as: UInt32.self) }
    @inline(__always) var record: UnsafeRawPointer { base.load(fromByteOffset: 24, as: UnsafeRawPointer.self) }
    @inline(__always) func next(_ level: Int) -> UnsafeMutableRawPointer? {
      base.load(fromByteOffset: 32 &+ level &* 8, as: UnsafeMutableRawPointer?.self)
    }
    @inline(__always) func setNext(_ level: Int, _ node: UnsafeMutableRawPointer?) {
      base.storeBytes(of: node, toByteOffset: 32 &+ level &* 8, as: UnsafeMutableRawPointer?.self)
    }
    @inline(__always) func precedes(_ order: UInt128, _ tail: UInt32) -> Bool {
      keyPrecedes(self.order, self.tail, order, tail)
    }
  }

  private var arena = Arena()
  private let head: Node
  /// The last node of each level: where rising keys go without a search.
  private let ends: UnsafeMutablePointer<Node>
  private let path: UnsafeMutablePointer<Node>
  private var height = 1
  private var random = XorshiftStream(seed: 1)

  init() {
    head = Node(base: arena.take(32 + Self.levelLimit * 8))
    for level in 0..<Self.levelLimit { head.setNext(level, nil) }
    ends = .allocate(capacity: Self.levelLimit)
    ends.initialize(repeating: head, count: Self.levelLimit)
    path = .allocate(capacity: Self.levelLimit)
    path.initialize(repeating: head, count: Self.levelLimit)
  }

  deinit {
    arena.deallocate()
    ends.deallocate()
    path.deallocate()
  }

  func seal() {}
  var byteCount: Int { arena.byteCount }

  func insert(_ batch: UnsafeBufferPointer<MemtableEntry>) {
    guard var entry = batch.baseAddress else { return }
    let end = entry + batch.count
    while entry < end {
      insert(entry)
      entry += 1
    }
  }

  private func insert(_ entry: MemtableEntries) {
    let order = entry.pointee.order
    let tail = entry.pointee.tail
    let isLast = ends[0].base == head.base || ends[0].precedes(order, tail)
    if !isLast { search(order, tail) }
    let before = isLast ? ends : path
    let levels = min(1 + random.next().leadingZeroBitCount / 2, Self.levelLimit)
    let node = Node(base: arena.take((32 + levels * 8 + 15) & ~15))
    node.base.storeBytes(of: order, as: UInt128.self)
    node.base.storeBytes(of: tail, toByteOffset: 16, as: UInt32.self)
    node.base.storeBytes(of: entry.pointee.record, toByteOffset: 24, as: UnsafeRawPointer.self)
    while height < levels {
      before[height] = head
      height += 1
    }
    var level = 0
    while level < levels {
      let next = before[level].next(level)
      node.setNext(level, next)
      before[level].setNext(level, node.base)
      if next == nil { ends[level] = node }
      level &+= 1
    }
  }

  /// Notes in `path` the last node before the key on each level.
  @inline(__always)
  private func search(_ order: UInt128, _ tail: UInt32) {
    var node = head
    var level = height - 1
    while level >= 0 {
      while let next = node.next(level), Node(base: next).precedes(order, tail) { node = Node(base: next) }
      path[level] = node
      level &-= 1
    }
  }

  func find(_ order: UInt128, _ tail: UInt32) -> UnsafeRawPointer? {
    var node = head
    var level = height - 1
    while level >= 0 {
      while let next = node.next(level), Node(base: next).precedes(order, tail) { node = Node(base: next) }
      level &-= 1
    }
    guard let next = node.next(0) else { return nil }
    let found = Node(base: next)
    return found.order == order && found.tail == tail ? found.record : nil
  }

  func walk(_ visit: (UInt128, UInt32, UnsafeRawPointer) -> Void) {
    var next = head.next(0)
    while let base = next {
      let node = Node(base: base)
      visit(node.order, node.tail, node.record)
      next = node.next(0)
    }
  }
}
