// Values that somebody owns, as cells that SQLite can be given. Unsafe by nature: named in the tidy test.
import SluiceSystem

/// A copy of values, laid out so that cells can point into it. The cells are valid until the next `lay` and as long as
/// this lives.
public struct ValueCells: ~Copyable {
  private var bytes = ByteBuffer()
  public private(set) var cells: [Cell] = []

  public init() {}

  /// Takes other values. Texts and blobs are laid out one behind the other first, for the memory may move while it
  /// grows.
  public mutating func lay(_ values: some Collection<Value>) {
    bytes.removeAll()
    for value in values {
      switch value {
      case .text(let content), .blob(let content): bytes.append(content)
      default: break
      }
    }
    cells.removeAll(keepingCapacity: true)
    var offset = 0
    for value in values {
      switch value {
      case .null: cells.append(.null)
      case .integer(let number): cells.append(.integer(number))
      case .real(let number): cells.append(.real(number))
      case .text(let content): cells.append(.text(slice(&offset, content.count)))
      case .blob(let content): cells.append(.blob(slice(&offset, content.count)))
      }
    }
  }

  private func slice(_ offset: inout Int, _ size: Int) -> UnsafeRawBufferPointer {
    defer { offset += size }
    return UnsafeRawBufferPointer(rebasing: bytes.bytes[offset..<offset + size])
  }
}
