package metrics

// Database is what one database server says of its connections at one instant.
// It carries facts only: which limits there are, which sessions exist, and what
// tells them apart. What of it is others, a ghost or a worker's is decided in
// package policy, which knows the pods.
type Database struct {
	// Server identifies the running server that answered, whatever name it was
	// reached by: two names for one server give the same text, a restart or
	// another server behind the same name gives another.
	Server string `json:"server"`

	// Name is the database that the reading was taken in: the one meant by a
	// login that was asked about without a database.
	Name string `json:"name,omitempty"`

	// ReadOnly is true where the server is in recovery (a replica, or a writer
	// that was demoted). Its slots are not the slots that workers will use.
	ReadOnly bool `json:"readOnly,omitempty"`

	// Full is true where the server refused our own login because no slot is
	// free (SQLSTATE 53300). That is a reading: free is 0. Server, Name,
	// Constraints, Logins and Sessions are then empty.
	Full bool `json:"full,omitempty"`

	// Attribution is the finest that Sessions can tell apart.
	Attribution Attribution `json:"attribution,omitempty"`

	// Constraints are the limits on this server, in a stable order.
	Constraints []Constraint `json:"constraints,omitempty"`

	// Logins say for each (user, database) that was asked about which of the
	// constraints refuse it.
	Logins []Login `json:"logins,omitempty"`

	// Sessions are the connections that occupy slots, grouped by what
	// identifies them, ourselves included, in a stable order.
	Sessions []Sessions `json:"sessions,omitempty"`
}

// Attribution says what sessions can be told apart by.
type Attribution string

const (
	// ByAddress means that sessions carry the client's address, so each belongs
	// to a pod.
	ByAddress Attribution = "Address"
	// ByLogin means that only user, database and application_name are visible (a
	// pooler, SNAT, an unprivileged monitor), so sessions belong to a workload.
	ByLogin Attribution = "Login"
)

// Constraint is one limit: at most Limit sessions among those it counts.
type Constraint struct {
	// Name is stable and unique on its server: "server", "server/reserved",
	// "server/superuser", "role/NAME", "database/NAME".
	Name string `json:"name"`
	// Limit is the number of sessions that whoever it refuses can bring it to,
	// after the server's own reserved slots are taken off. 0 or more.
	Limit int `json:"limit"`
	// User and Database say which sessions are counted; "" counts all.
	User     string `json:"user,omitempty"`
	Database string `json:"database,omitempty"`
}

// Counts reports whether sessions of this user in this database are counted.
func (c Constraint) Counts(user, database string) bool {
	return (c.User == "" || c.User == user) && (c.Database == "" || c.Database == database)
}

// Login says what stands between a user of a database and one more session.
type Login struct {
	User     string `json:"user"`
	Database string `json:"database"`
	// Constraints are the names of those that refuse this login when full. A
	// superuser, for example, is not refused by its role's limit.
	Constraints []string `json:"constraints,omitempty"`
	// Refused says why this login is refused whatever is free (no such role, no
	// CONNECT privilege, …); "" where it is not.
	Refused string `json:"refused,omitempty"`
}

// Sessions are connections that look alike.
type Sessions struct {
	User        string `json:"user,omitempty"`
	Database    string `json:"database,omitempty"`
	Address     string `json:"address,omitempty"` // IP of the client, "" where not visible
	Application string `json:"application,omitempty"`
	Count       int    `json:"count"`
}
