package explorer

// unlisted is whether a new leader acts before its watch shows every pod that a
// quorum read lists. It never is; the tests of guards replace this file.
func unlisted() bool { return false }
