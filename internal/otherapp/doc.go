// Package otherapp is another application on a PostgreSQL server that workers
// share: a web shop, say. It holds some connections, now and then wants some
// more, may leak some, and opens a short one every so often. It counts what it
// does not get.
package otherapp
