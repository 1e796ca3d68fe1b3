// The table that stands for an attached store: one row for each of its SQL tables. Dropping it lets go of all of them.
import Sluice
import SluiceSQLite
import SluiceSystem

final class StoreList: VirtualTable {
  private let name: String
  fileprivate let store: HostedStore
  private unowned let host: Host

  init(_ name: String, _ store: HostedStore, host: Host) {
    self.name = name
    self.store = store
    self.host = host
    super.init(columns: ["name TEXT", "columns TEXT", "sql TEXT"])
  }

  override func plan(_ plan: inout AccessPlan) throws(SQLiteError) {
    plan.estimatedCost = 100
    plan.estimatedRows = 100
  }

  override func makeCursor() throws(SQLiteError) -> VirtualCursor { StoreListCursor(self) }

  override func drop() throws(SQLiteError) { try host.dropMembers(of: name) }
}

private final class StoreListCursor: VirtualCursor {
  private let list: StoreList
  private var rows: [HostedStore.Object] = []
  private var index = 0
  private var bytes = ByteBuffer()

  init(_ list: StoreList) {
    self.list = list
    super.init(columnCount: list.columnCount)
  }

  override func start(_ scan: Scan) throws(SQLiteError) -> Bool {
    do { try list.store.refresh() } catch { throw SQLiteError(converting: error) }
    rows = list.store.tables
    index = -1
    return try next()
  }

  override func next() throws(SQLiteError) -> Bool {
    index += 1
    guard index < rows.count else { return false }
    let texts = [rows[index].name, rows[index].columnNames.joined(separator: ", "), rows[index].sql]
    bytes.removeAll()
    // All of them first: the buffer may move while it grows.
    var places: [Range<Int>] = []
    for text in texts {
      let start = bytes.count
      bytes.append(Array(text.utf8))
      places.append(start..<bytes.count)
    }
    for (column, place) in places.enumerated() {
      cells[column] = .text(.init(rebasing: bytes.bytes[place]))
    }
    return true
  }
}
