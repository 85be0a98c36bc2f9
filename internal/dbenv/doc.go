// Package dbenv finds out from a container's environment which database servers it
// connects to and with how large a pool: by the names and forms that libraries and
// frameworks read. It is a guess, and says what it was made from. Passwords are
// passed over and never kept.
package dbenv
