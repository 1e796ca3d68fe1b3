// The text that `.import` reads, from a file or a command: large blocks into one buffer that grows to the largest
// record. Linear in the size of the text. Unsafe by nature: named in the tidy test.
import CReadline
import Glibc

/// The unread part of a text. The pointers it hands out hold until the next `fill`.
final class ImportSource {
  private static let blockSize = 1 << 20

  private let descriptor: Int32
  /// The command that writes the text.
  private let pipe: UnsafeMutablePointer<FILE>?
  private var memory = UnsafeMutableRawPointer.allocate(byteCount: ImportSource.blockSize, alignment: 16)
  private var capacity = ImportSource.blockSize
  private var start = 0
  private var end = 0
  /// Whether everything was read.
  private(set) var isAtEnd = false
  /// Why a read failed, which ends the text.
  private(set) var failure: String?

  /// Opens the file `path`, or runs the command that stands behind a `|`; nil when that cannot be done.
  init?(_ path: String) {
    if path.hasPrefix("|") {
      // A command ends by itself when nobody reads it any more.
      signal(SIGPIPE, SIG_DFL)
      pipe = popen(String(path.dropFirst()), "re")
      signal(SIGPIPE, SIG_IGN)
      descriptor = pipe.map { fileno($0) } ?? -1
    } else {
      pipe = nil
      descriptor = open(path, O_RDONLY | O_CLOEXEC)
    }
    if descriptor < 0 { return nil }
  }

  deinit {
    memory.deallocate()
    if let pipe { pclose(pipe) } else if descriptor >= 0 { close(descriptor) }
  }

  /// What is in the buffer and not consumed.
  var unread: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory + start, count: end - start) }

  func consume(_ size: Int) { start += size }

  /// Reads until the buffer is full or the text is over. A Ctrl-C ends it too.
  func fill() {
    makeRoom()
    while !isAtEnd, end < capacity {
      let count = read(descriptor, memory + end, capacity - end)
      if count > 0 {
        end += count
      } else if count == 0 {
        isAtEnd = true
      } else if errno != EINTR || creadline_interrupted() != 0 {
        if errno != EINTR { failure = String(cString: strerror(errno)) }
        isAtEnd = true
      }
    }
  }

  private func makeRoom() {
    if start > 0 {
      memmove(memory, memory + start, end - start)
      end -= start
      start = 0
    }
    guard capacity - end < ImportSource.blockSize / 2 else { return }
    capacity *= 2
    let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    larger.copyMemory(from: memory, byteCount: end)
    memory.deallocate()
    memory = larger
  }
}
