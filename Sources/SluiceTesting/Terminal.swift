// A program under a pseudo-terminal, as a person at a keyboard has it.
// Unsafe by nature: named in the tidy test.
import Glibc
import SluiceSystem

/// What was waited for did not come.
public struct TerminalTimeout: Error, CustomStringConvertible {
  public let awaited: String
  public let screen: String
  public var description: String { "\"\(awaited)\" did not appear; since the last match: \"\(screen)\"" }
}

/// A program that believes it has a terminal. For one thread.
///
///     let terminal = try Terminal(builtProduct("sluice"), [folder.file("s.sluice")])
///     try terminal.expect("sluice> ")
///     try terminal.send("SELECT 1;\n")
///     #expect(try terminal.expect("sluice> ").contains("1"))
///     terminal.send(Terminal.controlD)
///     #expect(try terminal.finish() == 0)
public final class Terminal {
  public static let controlA = "\u{1}"
  public static let controlC = "\u{3}"
  public static let controlD = "\u{4}"
  public static let controlE = "\u{5}"
  public static let controlR = "\u{12}"
  public static let tab = "\t"
  public static let up = "\u{1b}[A"
  public static let down = "\u{1b}[B"
  public static let left = "\u{1b}[D"
  public static let backspace = "\u{7f}"

  /// The program's process id.
  public let id: Int32
  private let descriptor: Int32
  private var unread: [UInt8] = []
  private var isAtEnd = false
  private var status: Int32?

  /// Starts `program` with a terminal of that size.
  public init(
    _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], columns: UInt16 = 80,
    rows: UInt16 = 24
  ) throws(SystemError) {
    // <asm-generic/ioctls.h>: macros that Swift cannot read.
    let getNumber: UInt = 0x8004_5430, unlock: UInt = 0x4004_5431, setSize: UInt = 0x5414
    let setSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, <spawn.h>
    var all = ["TERM": "xterm", "INPUTRC": "/dev/null"]
    all.merge(environment) { $1 }
    (id, descriptor) = try spawning.withLock { (_) throws(SystemError) in
      let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
      if master < 0 { throw SystemError(call: "open", path: "/dev/ptmx", code: errno) }
      var number: Int32 = 0
      var zero: Int32 = 0
      var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
      if ioctl(master, getNumber, &number) != 0 || ioctl(master, unlock, &zero) != 0
        || ioctl(master, setSize, &size) != 0
      {
        throw SystemError(call: "ioctl", path: "/dev/ptmx", code: errno)
      }
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      // The first terminal a session leader opens becomes its controlling terminal.
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/pts/\(number)", O_RDWR, 0)
      posix_spawn_file_actions_adddup2(&actions, 0, 1)
      posix_spawn_file_actions_adddup2(&actions, 0, 2)
      do throws(SystemError) {
        return (try spawn(program, arguments, all, &actions, flags: setSession), master)
      } catch {
        close(master)
        throw error
      }
    }
  }

  deinit {
    close(descriptor)
    if status == nil {
      kill(id, SIGKILL)
      var ignored: Int32 = 0
      waitpid(id, &ignored, 0)
    }
  }

  /// Types `keys`.
  public func send(_ keys: String) {
    var rest = Array(keys.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno != EINTR { return }
      rest = rest.dropFirst(max(0, count))
    }
  }

  /// Waits until `text` appears and returns what stood before it, since the last match. Escape sequences and carriage
  /// returns are left out.
  @discardableResult
  public func expect(_ text: String, timeoutSeconds: Double = 20) throws(TerminalTimeout) -> String {
    let deadline = SystemClock().monotonicNanoseconds() + UInt64(timeoutSeconds * 1e9)
    while true {
      let seen = plainText(unread)
      if let match = seen.firstRange(of: text) {
        unread = Array(seen[match.upperBound...].utf8)
        return String(seen[..<match.lowerBound])
      }
      if isAtEnd || SystemClock().monotonicNanoseconds() > deadline {
        throw TerminalTimeout(awaited: text, screen: seen)
      }
      readSome()
    }
  }

  /// Waits until the program ends and returns its status (128 + signal); `expect` then sees the rest of its output.
  public func finish(timeoutSeconds: Double = 20) throws(TerminalTimeout) -> Int32 {
    let deadline = SystemClock().monotonicNanoseconds() + UInt64(timeoutSeconds * 1e9)
    while true {
      if let status { return status }
      var raw: Int32 = 0
      if waitpid(id, &raw, WNOHANG) == id {
        status = exitStatus(raw)
        while !isAtEnd { readSome() }
      } else if SystemClock().monotonicNanoseconds() > deadline {
        throw TerminalTimeout(awaited: "end of the program", screen: plainText(unread))
      } else {
        readSome()
      }
    }
  }

  /// What has been written and not been matched yet.
  public var rest: String { plainText(unread) }

  private func readSome() {
    var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    if isAtEnd {
      usleep(2_000)
    } else if poll(&polled, 1, 10) > 0 {
      isAtEnd = !drain(descriptor, &unread)
    } else if status != nil {
      isAtEnd = true
    }
  }
}

/// The text without `ESC [ … letter`, `ESC ] … BEL` and other escape sequences, carriage returns and bells.
func plainText(_ bytes: [UInt8]) -> String {
  var result: [UInt8] = []
  var index = 0
  while index < bytes.count {
    let byte = bytes[index]
    index += 1
    if byte == 0x1b, index < bytes.count {
      let kind = bytes[index]
      index += 1
      if kind == UInt8(ascii: "[") {
        while index < bytes.count, !(0x40...0x7e ~= bytes[index]) { index += 1 }
        index += 1
      } else if kind == UInt8(ascii: "]") {
        while index < bytes.count, bytes[index] != 7 { index += 1 }
        index += 1
      }
    } else if byte != 0x0d, byte != 7 {
      result.append(byte)
    }
  }
  return String(decoding: result, as: UTF8.self)
}
