// A B+tree in an arena: 32 keys a node, their parts in arrays of their own, so that a search reads neighbouring lines.
// A node changes in place: readers beside the writer would need versions or locks.
// Unsafe by nature: named in the tidy test.
//
//   node: offset size
//              0  512  orders
//            512  128  tails
//            640  264  33 pointers. Inner node: child i holds the keys from key i-1 on and before key i.
//                      Leaf: 32 records, then the next leaf
//            904    8  count of keys

final class BTree: MemtableStructure {
  static let title = "B+tree"
  static let hasPointReads = true
  private static let fanOut = 32
  private static let depthLimit = 16

  private struct Node {
    static let sizeBytes = 912
    let base: UnsafeMutableRawPointer

    @inline(__always) var orders: UnsafeMutablePointer<UInt128> { base.assumingMemoryBound(to: UInt128.self) }
    @inline(__always) var tails: UnsafeMutablePointer<UInt32> { (base + 512).assumingMemoryBound(to: UInt32.self) }
    @inline(__always) var pointers: UnsafeMutablePointer<UnsafeMutableRawPointer?> {
      (base + 640).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    }
    @inline(__always) var count: Int {
      get { base.load(fromByteOffset: 904, as: Int.self) }
      nonmutating set { base.storeBytes(of: newValue, toByteOffset: 904, as: Int.self) }
    }
    @inline(__always) var nextLeaf: UnsafeMutableRawPointer? {
      get { pointers[BTree.fanOut] }
      nonmutating set { pointers[BTree.fanOut] = newValue }
    }

    /// How many keys stand before the given one.
    @inline(__always)
    func lowerBound(_ order: UInt128, _ tail: UInt32) -> Int {
      var low = 0
      var rest = count
      while rest > 0 {
        let half = (rest &+ 1) / 2
        let place = low &+ half &- 1
        low = keyPrecedes(orders[place], tails[place], order, tail) ? low &+ half : low
        rest &-= half
      }
      return low
    }

    /// How many keys stand before the given one or are it: the child that has it.
    @inline(__always)
    func childIndex(_ order: UInt128, _ tail: UInt32) -> Int {
      var low = 0
      var rest = count
      while rest > 0 {
        let half = (rest &+ 1) / 2
        let place = low &+ half &- 1
        low = keyPrecedes(order, tail, orders[place], tails[place]) ? low : low &+ half
        rest &-= half
      }
      return low
    }

    /// Makes room for a key at `place`, and for a pointer at `pointer`, among `pointerCount` pointers.
    @inline(__always)
    func insert(_ place: Int, _ order: UInt128, _ tail: UInt32, _ pointer: Int, _ target: UnsafeMutableRawPointer) {
      let moved = count &- place
      (orders + (place &+ 1)).update(from: orders + place, count: moved)
      (tails + (place &+ 1)).update(from: tails + place, count: moved)
      (pointers + (pointer &+ 1)).update(from: pointers + pointer, count: moved)
      orders[place] = order
      tails[place] = tail
      pointers[pointer] = target
      count &+= 1
    }
  }

  private var arena = Arena()
  private var root: Node
  private var firstLeaf: Node
  private var lastLeaf: Node
  /// Inner levels above the leaves.
  private var depth = 0
  private let path: UnsafeMutablePointer<Node>

  init() {
    root = Node(base: arena.take(Node.sizeBytes))
    root.count = 0
    root.nextLeaf = nil
    firstLeaf = root
    lastLeaf = root
    path = .allocate(capacity: Self.depthLimit)
    path.initialize(repeating: root, count: Self.depthLimit)
  }

  deinit {
    arena.deallocate()
    path.deallocate()
  }

  func seal() {}
  var byteCount: Int { arena.byteCount }

  func insert(_ batch: UnsafeBufferPointer<MemtableEntry>) {
    guard var entry = batch.baseAddress else { return }
    let end = entry + batch.count
    while entry < end {
      insert(entry.pointee.order, entry.pointee.tail, UnsafeMutableRawPointer(mutating: entry.pointee.record))
      entry += 1
    }
  }

  @inline(__always)
  private func insert(_ order: UInt128, _ tail: UInt32, _ record: UnsafeMutableRawPointer) {
    // Rising keys need no search.
    let count = lastLeaf.count
    if count > 0, count < Self.fanOut, keyPrecedes(lastLeaf.orders[count &- 1], lastLeaf.tails[count &- 1], order, tail)
    {
      lastLeaf.insert(count, order, tail, count, record)
      return
    }
    var node = root
    var level = 0
    while level < depth {
      path[level] = node
      node = Node(base: node.pointers[node.childIndex(order, tail)].unsafelyUnwrapped)
      level &+= 1
    }
    let place = node.lowerBound(order, tail)
    if node.count < Self.fanOut {
      node.insert(place, order, tail, place, record)
    } else {
      splitLeaf(node, place, order, tail, record)
    }
  }

  private func splitLeaf(
    _ leaf: Node, _ place: Int, _ order: UInt128, _ tail: UInt32, _ record: UnsafeMutableRawPointer
  ) {
    let right = Node(base: arena.take(Node.sizeBytes))
    // Behind the last key of all: the left leaf stays full, as rising keys will never come back to it.
    let kept = place == Self.fanOut && leaf.nextLeaf == nil ? Self.fanOut : Self.fanOut / 2
    move(leaf, kept, to: right, pointers: kept, count: leaf.count - kept)
    right.nextLeaf = leaf.nextLeaf
    leaf.nextLeaf = right.base
    if right.nextLeaf == nil { lastLeaf = right }
    if place > kept || kept == Self.fanOut {
      right.insert(place - kept, order, tail, place - kept, record)
    } else {
      leaf.insert(place, order, tail, place, record)
    }
    addChild(right, right.orders[0], right.tails[0], level: depth - 1)
  }

  /// Puts `child`, whose least key is given, behind its left neighbour in the path's node of `level`.
  private func addChild(_ child: Node, _ order: UInt128, _ tail: UInt32, level: Int) {
    guard level >= 0 else { return growRoot(child, order, tail) }
    let node = path[level]
    let place = node.childIndex(order, tail)
    if node.count < Self.fanOut { return node.insert(place, order, tail, place + 1, child.base) }
    let right = Node(base: arena.take(Node.sizeBytes))
    let kept = place == Self.fanOut ? Self.fanOut - 1 : Self.fanOut / 2
    // The key in the middle goes up.
    let upOrder = node.orders[kept]
    let upTail = node.tails[kept]
    move(node, kept + 1, to: right, pointers: kept + 1, count: node.count - kept - 1)
    right.pointers[right.count] = node.pointers[Self.fanOut]
    node.count = kept
    if place > kept {
      right.insert(place - kept - 1, order, tail, place - kept, child.base)
    } else {
      node.insert(place, order, tail, place + 1, child.base)
    }
    addChild(right, upOrder, upTail, level: level - 1)
  }

  private func growRoot(_ child: Node, _ order: UInt128, _ tail: UInt32) {
    let old = root
    root = Node(base: arena.take(Node.sizeBytes))
    root.count = 0
    root.pointers[0] = old.base
    root.insert(0, order, tail, 1, child.base)
    depth += 1
  }

  /// Moves `count` keys from `start` on, and as many pointers from `pointers` on, to the empty node `right`.
  private func move(_ node: Node, _ start: Int, to right: Node, pointers: Int, count: Int) {
    right.orders.update(from: node.orders + start, count: count)
    right.tails.update(from: node.tails + start, count: count)
    right.pointers.update(from: node.pointers + pointers, count: count)
    right.count = count
    node.count = start
  }

  func find(_ order: UInt128, _ tail: UInt32) -> UnsafeRawPointer? {
    var node = root
    var level = 0
    while level < depth {
      node = Node(base: node.pointers[node.childIndex(order, tail)].unsafelyUnwrapped)
      level &+= 1
    }
    let place = node.lowerBound(order, tail)
    guard place < node.count, node.orders[place] == order, node.tails[place] == tail else { return nil }
    return UnsafeRawPointer(node.pointers[place].unsafelyUnwrapped)
  }

  func walk(_ visit: (UInt128, UInt32, UnsafeRawPointer) -> Void) {
    var leaf: Node? = firstLeaf
    while let node = leaf {
      var place = 0
      while place < node.count {
        visit(node.orders[place], node.tails[place], UnsafeRawPointer(node.pointers[place].unsafelyUnwrapped))
        place &+= 1
      }
      leaf = node.nextLeaf.map { Node(base: $0) }
    }
  }
}
