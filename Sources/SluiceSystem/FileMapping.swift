// A file as memory: what point reads of immutable files use, for a call to the system costs more than the read itself.
// Unsafe by nature: named in the tidy test.
import CSystem

/// The bytes of a file, read by the machine as they are touched. The file may be closed meanwhile. A page that cannot
/// be read (the disk fails, somebody cut the file) reads as zeros and raises `faultCount`: who has read from a mapping
/// asks for that before trusting what was read. Memory is the kernel's page cache: it can take it back at any time.
public final class FileMapping: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer
  private let slot: Int32

  /// Maps `size` bytes, at least 1; nil when that is not possible.
  init?(descriptor: Int32, size: Int) {
    var slot: Int32 = 0
    guard let base = csystem_map(descriptor, size, &slot) else { return nil }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
    self.slot = slot
  }

  deinit {
    if let base = bytes.baseAddress { csystem_unmap(base, bytes.count, slot) }
  }

  /// Whether a page of this mapping could not be read.
  public var hasFaulted: Bool { csystem_mapping_has_faulted(slot) != 0 }

  /// Mappings of this process. There are 16,384 at most, and no more than a quarter of what the system allows.
  package static var count: Int { Int(csystem_mapping_count()) }

  /// Pages of all mappings that could not be read since the process began. About 1 ns.
  @inlinable @inline(__always)
  public static var faultCount: UInt64 { csystem_mapping_faults() }
}

/// A byte that several threads may set to the same value.
@inlinable @inline(__always)
public func loadByte(_ place: UnsafePointer<UInt8>) -> UInt8 { csystem_load_byte(place) }

@inlinable @inline(__always)
public func storeByte(_ value: UInt8, at place: UnsafeMutablePointer<UInt8>) { csystem_store_byte(place, value) }
