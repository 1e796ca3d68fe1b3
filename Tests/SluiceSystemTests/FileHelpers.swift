// Short forms for tests that write and read small files through any file system.
import SluiceSystem

extension File {
  func put(_ bytes: [UInt8], at offset: UInt64 = 0) throws(SystemError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 8)
    defer { buffer.deallocate() }
    buffer.copyBytes(from: bytes)
    try write(UnsafeRawBufferPointer(buffer), at: offset)
  }

  func get(at offset: UInt64 = 0, size: Int) throws(SystemError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
    defer { buffer.deallocate() }
    let count = try read(at: offset, into: buffer)
    return [UInt8](buffer[..<count])
  }
}

/// `count` bytes of one value.
func fill(_ byte: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: byte, count: count) }
