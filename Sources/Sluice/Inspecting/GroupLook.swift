// What the file of a group holds.
import SluiceSystem

/// One look at one group's file.
struct GroupLook {
  let path: String
  /// Whose it must be; nil: anybody's.
  let storeID: UInt64?
  let fileSystem: any FileSystem

  /// Tells what it holds; returns the fields for the verdict.
  func tell(_ report: InspectionReport) -> String {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    do throws(StoreError) {
      let bytes = try convertingErrors { try fileSystem.contents(path) }
      let file = try GroupFile.decode(bytes, path: path)
      report.tell(
        "group" + field("name", name) + " version=\(bytes[8]) reader=\(bytes[10]) store=\(identityText(file.storeID)) "
          + "position=\(file.position)" + field("time", EventTime.text(file.timeMicroseconds)))
      if let storeID, storeID != file.storeID {
        report.damage("it belongs to store \(identityText(file.storeID))", file: path, offset: 16)
      }
      return "position=\(file.position)"
    } catch {
      report.tell("group" + field("name", name))
      let what =
        error.message.hasPrefix(path + " ") ? String(error.message.dropFirst(path.utf8.count + 1)) : error.message
      if error.kind == .corrupt { report.damage(what, file: path, offset: 0) } else { report.unread(what, file: path) }
      return ""
    }
  }
}
