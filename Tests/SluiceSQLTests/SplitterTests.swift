// The splitter: where statements end, whole and byte by byte.
import SluiceSQL
import Testing
