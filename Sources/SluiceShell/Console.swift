// Standard output, standard error, and the file that `.output` names: buffered, and in one order.
// Unsafe by nature: named in the tidy test.
import Glibc

/// A descriptor behind 64 KiB of memory.
final class OutputBuffer {
  private static let size = 64 << 10
  private let memory = UnsafeMutableRawPointer.allocate(byteCount: OutputBuffer.size, alignment: 16)
  private var used = 0
  private let descriptor: Int32
  /// The `errno` of the write that failed: from then on everything is dropped.
  private(set) var failure: Int32 = 0

  init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { memory.deallocate() }

  @inline(__always)
  func write(byte: UInt8) {
    if used == OutputBuffer.size { flush() }
    memory.storeBytes(of: byte, toByteOffset: used, as: UInt8.self)
    used &+= 1
  }

  func write(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    if bytes.count > OutputBuffer.size - used { flush() }
    guard bytes.count <= OutputBuffer.size else { return send(start, bytes.count) }
    (memory + used).copyMemory(from: start, byteCount: bytes.count)
    used &+= bytes.count
  }

  func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0) } }

  func write(_ text: String) {
    var text = text
    text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
  }

  /// `count` times the same byte; none when `count` is negative.
  func write(repeating byte: UInt8, count: Int) {
    var left = count
    while left > 0 {
      write(byte: byte)
      left -= 1
    }
  }

  func flush() {
    let size = used
    used = 0
    send(memory, size)
  }

  private func send(_ start: UnsafeRawPointer, _ size: Int) {
    var sent = 0
    while sent < size, failure == 0 {
      let count = Glibc.write(descriptor, start + sent, size - sent)
      if count >= 0 {
        sent += count
      } else if errno == EAGAIN {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&waiting, 1, -1)
      } else if errno != EINTR {
        failure = errno
      }
    }
  }
}

/// Where results and errors go. Each flushes the other first, so that a terminal or a shared pipe shows them in order.
final class Console {
  private let standardOutput = OutputBuffer(descriptor: 1)
  private let standardError = OutputBuffer(descriptor: 2)
  private var redirection: (buffer: OutputBuffer, descriptor: Int32, name: String)?
  /// Whether the redirection ends with the next statement (`.once`).
  private var isOnce = false

  /// The buffer for results.
  func printing() -> OutputBuffer {
    standardError.flush()
    return redirection?.buffer ?? standardOutput
  }

  /// The buffer for errors.
  func complaining() -> OutputBuffer {
    standardOutput.flush()
    return standardError
  }

  /// Prints what is no error.
  func tell(_ notices: [String]) {
    for notice in notices { complaining().write("Notice: \(notice)\n") }
  }

  func flush() {
    standardOutput.flush()
    standardError.flush()
    redirection?.buffer.flush()
  }

  /// Whether the reader of standard output has gone, so that nothing further is wanted.
  var isAbandoned: Bool { standardOutput.failure == EPIPE }

  /// Why standard output could not be written, when it was not its reader that left.
  var outputFailure: String? {
    let code = standardOutput.failure
    return code == 0 || code == EPIPE ? nil : String(cString: strerror(code))
  }

  /// The file that results go to, or nil for standard output.
  var redirectionName: String? { redirection?.name }

  /// Sends results to a file; false when it cannot be created.
  func redirect(to path: String, once: Bool) -> Bool {
    _ = endRedirection()
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { return false }
    redirection = (OutputBuffer(descriptor: descriptor), descriptor, path)
    isOnce = once
    return true
  }

  /// Results go to standard output again. Returns a sentence when the file could not be written.
  func endRedirection() -> String? {
    guard let (buffer, descriptor, name) = redirection else { return nil }
    buffer.flush()
    redirection = nil
    isOnce = false
    let code = close(descriptor) == 0 ? buffer.failure : errno
    return code == 0 ? nil : "cannot write \"\(name)\": \(String(cString: strerror(code)))"
  }

  /// Ends what `.once` began.
  func endOnce() -> String? { isOnce ? endRedirection() : nil }
}
