// Files and folders around a measurement: what they take, their lines, and a clean end.
// Unsafe by nature (readdir): named in the tidy test.
import Glibc

/// The lines of the file at `path`.
func lines(of path: String) throws -> [String] {
  guard let file = fopen(path, "re") else { throw BenchError(description: "cannot read \(path)") }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var block = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = fread(&block, 1, block.count, file)
    if count == 0 { return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init) }
    bytes += block[..<count]
  }
}

/// Removes a file, or a folder with what is in it.
func remove(_ path: String) {
  guard !isFolder(path) else {
    for name in names(in: path) { remove("\(path)/\(name)") }
    rmdir(path)
    return
  }
  unlink(path)
}

/// Bytes that the files below `folder` take on the disk.
func diskBytes(below folder: String) -> UInt64 {
  var total: UInt64 = 0
  for name in names(in: folder) {
    let path = "\(folder)/\(name)"
    var status = stat()
    guard lstat(path, &status) == 0 else { continue }
    total += status.st_mode & S_IFMT == S_IFDIR ? diskBytes(below: path) : UInt64(status.st_blocks) * 512
  }
  return total
}

private func isFolder(_ path: String) -> Bool {
  var status = stat()
  return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// What stands in `folder`; nothing when it cannot be read.
func names(in folder: String) -> [String] {
  guard let handle = opendir(folder) else { return [] }
  defer { closedir(handle) }
  var result: [String] = []
  while let entry = readdir(handle) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != ".", name != ".." { result.append(name) }
  }
  return result
}
