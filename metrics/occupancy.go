package metrics

// Login returns what is known of this user of this database. A database of ""
// means the one the reading was taken in. ok is false where the reading does not
// say: the login was not asked about, or the server was full.
func (d Database) Login(user, database string) (login Login, ok bool) {
	if database == "" {
		database = d.Name
	}
	for _, login := range d.Logins {
		if login.User == user && login.Database == database {
			return login, true
		}
	}
	return Login{}, false
}

// Constraint returns the limit of this name.
func (d Database) Constraint(name string) (constraint Constraint, ok bool) {
	for _, constraint := range d.Constraints {
		if constraint.Name == name {
			return constraint, true
		}
	}
	return Constraint{}, false
}

// Used returns how many of the visible sessions the constraint counts,
// ourselves included. Connections that are still authenticating hold a slot and
// can't be seen, so the server may count more.
func (d Database) Used(constraint Constraint) int {
	used := 0
	for _, sessions := range d.Sessions {
		if constraint.Counts(sessions.User, sessions.Database) {
			used += sessions.Count
		}
	}
	return used
}

// Free returns how many more sessions the server accepts from this user in this
// database: the least of limit − used over the constraints that refuse the
// login, and never below 0. It is what the server would do if everybody came at
// once; no reserve of ours and nobody's promises are taken off.
//
// A full server has 0 free for everybody, a login that is refused whatever is
// free has 0 too. A database of "" means the one the reading was taken in.
//
// ok is false where the reading can't tell: the login was not asked about, or it
// names no constraint, or one that the reading does not have. free is 0 then.
func (d Database) Free(user, database string) (free int, ok bool) {
	if d.Full {
		return 0, true
	}
	login, ok := d.Login(user, database)
	if !ok {
		return 0, false
	}
	if login.Refused != "" {
		return 0, true
	}
	if len(login.Constraints) == 0 {
		return 0, false
	}
	for i, name := range login.Constraints {
		constraint, ok := d.Constraint(name)
		if !ok {
			return 0, false
		}
		left := max(0, constraint.Limit-d.Used(constraint))
		if i == 0 || left < free {
			free = left
		}
	}
	return free, true
}
