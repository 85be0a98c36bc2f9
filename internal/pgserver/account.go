package pgserver

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is who the server runs as. PostgreSQL refuses to run as root, so
// root lends it to another user.
type account struct {
	name     string
	uid, gid uint32
	lent     bool // not the account of this process: files must be handed over
}

// chooseAccount keeps the account of an ordinary user; root gives way to
// postgres, or to nobody.
func chooseAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{name: "the current user", uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr != nil || gidErr != nil || uid == 0 {
			continue
		}
		return account{name: name, uid: uint32(uid), gid: uint32(gid), lent: true}, nil
	}
	return account{}, fmt.Errorf("PostgreSQL refuses to run as root, and this machine has neither a user postgres nor a user nobody to run it as")
}

// credential is nil when no change of user is needed.
func (a account) credential() *syscall.Credential {
	if !a.lent {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// privateDir makes a directory that belongs to the account, below parent, or
// below the first temporary directory that the account can reach.
func (a account) privateDir(parent string) (string, error) {
	if parent == "" {
		for _, parent = range []string{os.TempDir(), "/tmp", "/var/tmp"} {
			if a.canReach(parent) == nil {
				break
			}
		}
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if err := a.canReach(parent); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, "pgserver-")
	if err != nil {
		return "", err
	}
	// The server compares its working directory with this path.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	return dir, a.own(dir)
}

// canReach says which directory, if any, keeps the account from reaching dir.
func (a account) canReach(dir string) error {
	if !a.lent {
		return nil
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		mode := info.Mode().Perm()
		switch {
		case stat.Uid == a.uid:
			ok = mode&0o100 != 0
		case stat.Gid == a.gid:
			ok = mode&0o010 != 0
		default:
			ok = mode&0o001 != 0
		}
		if !ok {
			return fmt.Errorf("user %s, who has to run PostgreSQL, may not enter %s (mode %v): choose another directory", a.name, dir, info.Mode())
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// own hands a file over to the account.
func (a account) own(path string) error {
	if !a.lent {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}
