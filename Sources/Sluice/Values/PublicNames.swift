// Names of lower modules that programs use.
import SluiceSQL

/// Cuts a script into statements.
public typealias StatementSplitter = SluiceSQL.StatementSplitter
/// What `INSERT OR …` does about a row that contradicts what is stored.
public typealias OrAction = SluiceSQL.OrAction
