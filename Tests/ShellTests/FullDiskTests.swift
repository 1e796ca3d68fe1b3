// A store on a disk that is full when it is opened: its tables are read, what cannot be done names the disk, and
// nothing is made anew for want of room.
import Foundation
import SluiceTesting
import Testing

private let canMount: Bool = {
  do { return try runProcess("unshare", ["-rm", "true"]).status == 0 } catch { return false }
}()

@Suite(.enabled(if: canMount, "needs a mount namespace")) struct FullDiskTests {
  /// Opens a store on a small file system of which all but `free` bytes are taken, then again with room.
  private static let script = """
    mount -t tmpfs -o size=12m tmpfs "$1" && cd "$1" || exit 9
    "$0" s "CREATE TABLE t(id INTEGER PRIMARY KEY, v)" "INSERT INTO t VALUES(1,'a'),(2,'a')" \
      "CREATE PROJECTION p AS SELECT v, count(*) AS n FROM t GROUP BY v"
    file=$(stat -c %i s/projections.db)
    cat /dev/zero > hog 2> /dev/null
    truncate -s -$2 hog
    "$0" s "SELECT count(*) FROM t"; echo "status $?"
    "$0" s "SELECT * FROM p"
    "$0" s "INSERT INTO t VALUES(3,'b')"
    "$0" n "CREATE TABLE x(a)" 2>&1 | grep -c 'the disk is full' 
    rm hog
    "$0" s "SELECT * FROM p"; "$0" n "SELECT 1"
    [ $file = $(stat -c %i s/projections.db) ] && echo "the same file"
    """

  @Test(arguments: [0, 4, 8, 16]) func openingOnAFullDisk(freeKiB: Int) throws {
    let folder = TemporaryFolder()
    let result = try runProcess(
      "unshare", ["-rm", "sh", "-c", Self.script, builtProduct("sluice"), folder.path, "\(freeKiB << 10)"])
    #expect(result.text == "2\nstatus 0\n1\na|2\n1\nthe same file\n")
    let lines = result.errorText.split(separator: "\n")
    #expect(lines.count == 2, "\(result.errorText)")
    for line in lines {
      #expect(
        line.hasPrefix("Error: stepping, the disk is full: ") && line.contains(" bytes are free at s, ")
          && line.hasSuffix("make room, then write again (13)"), "\(line)")
    }
  }
}
