// One file or directory of the simulated file system: what a running program sees (live) beside what a power cut
// leaves (durable).
//
//   file       live bytes, durable bytes, and the 512-byte sectors in which they may differ:
//                unsynced   written since the last good `sync`: each is kept or lost in a power cut
//                unknown    written before a failed `sync`: lost in a power cut, also after a later good `sync`,
//                           unless written again (Linux marks such pages clean: https://lwn.net/Articles/752063/)
//              and `cut`, the smallest size it was truncated to since the last good `sync`
//   directory  live names, durable names
//
// Unsafe by nature: named in the tidy test.
import SluiceSystem

/// What a power cut leaves of what was not synced.
public enum CrashMode: Sendable {
  /// Only what was synced: the strictest disk.
  case keepNothing
  /// Everything: the process was killed, the machine went on.
  case keepAll
  /// Each unsynced sector, size and name is kept or lost, by this seed.
  case seeded(UInt64)
}

/// Where a name stands. The directory outlives it: directories are never removed.
struct SimulatedPlace {
  unowned let directory: SimulatedNode
  let name: String
}

/// Touched only under the monitor of its file system.
final class SimulatedNode {
  static let sectorSize = 512

  let isDirectory: Bool
  var names: [String: SimulatedNode] = [:]
  var durableNames: [String: SimulatedNode] = [:]
  var durablePlace: SimulatedPlace?

  private(set) var live = ByteBuffer()
  private(set) var durable = ByteBuffer()
  private var unsynced = RangeSet<Int>()
  private var unknown = RangeSet<Int>()
  private var cut: Int?

  init(isDirectory: Bool) { self.isDirectory = isDirectory }

  /// A file whose content is durable.
  init(content: borrowing ByteBuffer) {
    isDirectory = false
    live.append(content.bytes)
    durable.append(content.bytes)
  }

  var size: Int { live.count }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let count = max(0, min(buffer.count, live.count - offset))
    if count > 0 { buffer.baseAddress!.copyMemory(from: live.base + offset, byteCount: count) }
    return count
  }

  /// Why a write breaks rule 1 of the contract in FileSystem.swift, or nil. Filling durable zeros is allowed
  /// (preallocation), and so is writing again what is there.
  func violation(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> String? {
    if offset > live.count { return "write at \(offset) leaves a hole behind the end at \(live.count)" }
    let end = min(offset + bytes.count, live.count, durable.count)
    var at = max(offset, Self.sectorSize)
    while at < end {
      if at + 8 <= end, durable.bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) == 0 {
        at += 8
        continue
      }
      let kept = durable.bytes[at]
      if kept != 0, live.bytes[at] == kept, bytes[at - offset] != kept {
        return "write at \(offset) size \(bytes.count) rewrites the durable byte at \(at)"
      }
      at += 1
    }
    return nil
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    resize(&live, to: max(live.count, offset + bytes.count))
    (live.base + offset).copyMemory(from: source, byteCount: bytes.count)
    touch(offset, offset + bytes.count)
  }

  func truncate(to size: Int) {
    touch(min(size, live.count), max(size, live.count))
    if size < live.count { cut = min(cut ?? size, size) }
    resize(&live, to: size)
  }

  /// Makes the unsynced sectors and the size durable.
  func sync() {
    if let cut, cut < durable.count { durable.truncate(to: cut) }
    resize(&durable, to: live.count)
    for range in unsynced.ranges { copy(range, to: &durable) }
    unsynced = RangeSet()
    cut = nil
  }

  /// A `sync` that failed: nothing is known of what was written since the last good one.
  func failSync() {
    unknown.formUnion(unsynced)
    unsynced = RangeSet()
  }

  /// Replaces the content, durably: for tests that damage files.
  func replace(_ content: [UInt8]) {
    live.removeAll()
    live.append(content)
    durable.removeAll()
    durable.append(content)
    unsynced = RangeSet()
    unknown = RangeSet()
    cut = nil
  }

  /// The file as a power cut leaves it.
  func crashed(_ mode: CrashMode, _ random: inout SeededRandom) -> SimulatedNode {
    switch mode {
    case .keepAll: return SimulatedNode(content: live)
    case .keepNothing: return SimulatedNode(content: durable)
    case .seeded: break
    }
    var image = ByteBuffer(capacity: max(durable.count, 16))
    image.append(durable.bytes)
    // Disks differ: some write back all they get, some nothing for seconds.
    let eighths = [0, 1, 4, 7, 8][random.below(5)]
    var candidates = unsynced
    var sizeMayGrow = true
    if let cut {
      if random.chance(eighths, of: 8) {
        image.truncate(to: min(cut, image.count))
      } else {
        // The file still has its old size and blocks: what was written behind the cut went to new ones.
        candidates.remove(contentsOf: (cut / Self.sectorSize)..<Int.max)
        sizeMayGrow = false
      }
    }
    for range in candidates.ranges {
      for sector in range where random.chance(eighths, of: 8) { copy(sector..<(sector + 1), to: &image) }
    }
    if sizeMayGrow, live.count > image.count { resize(&image, to: lostSize(image.count, &random)) }
    return SimulatedNode(content: image)
  }

  /// A size that was never synced: still `least`, already the live one, or at a sector border between.
  private func lostSize(_ least: Int, _ random: inout SeededRandom) -> Int {
    switch random.below(3) {
    case 0: return least
    case 1: return live.count
    default:
      let border = (least + random.below(live.count - least)) / Self.sectorSize * Self.sectorSize
      return max(least, border)
    }
  }

  private func touch(_ start: Int, _ end: Int) {
    guard start < end else { return }
    let sectors = (start / Self.sectorSize)..<((end + Self.sectorSize - 1) / Self.sectorSize)
    unsynced.insert(contentsOf: sectors)
    unknown.remove(contentsOf: sectors)
  }

  /// Copies live sectors into `target`, which grows with zeros to hold them.
  private func copy(_ sectors: Range<Int>, to target: inout ByteBuffer) {
    let start = sectors.lowerBound * Self.sectorSize
    let end = min(sectors.upperBound * Self.sectorSize, live.count)
    guard start < end else { return }
    resize(&target, to: max(target.count, end))
    (target.base + start).copyMemory(from: live.base + start, byteCount: end - start)
  }

  private func resize(_ buffer: inout ByteBuffer, to size: Int) {
    if size <= buffer.count { return buffer.truncate(to: size) }
    let more = size - buffer.count
    buffer.reserve(more).initializeMemory(as: UInt8.self, repeating: 0, count: more)
    buffer.advance(more)
  }
}
