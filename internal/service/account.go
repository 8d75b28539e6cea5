package service

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// Account is whom the workers run as. A nil one is this process's own.
type Account struct {
	UID, GID int
	Groups   []uint32 // further ones
}

// FindAccount reads --user and --group, names or numbers; "" is this process's own
// user, and for a group that user's. nil: nothing is to change. Without initgroups
// the workers have no further groups: root's are not theirs.
func FindAccount(userName, groupName string, initgroups bool) (*Account, error) {
	a := &Account{UID: os.Geteuid(), GID: os.Getegid()}
	var found *user.User
	if userName != "" {
		var err error
		if a.UID, found, err = findUser(userName); err != nil {
			return nil, fmt.Errorf("--user %s: %w", userName, err)
		}
		if found != nil {
			a.GID, _ = strconv.Atoi(found.Gid)
		}
	}
	if groupName != "" {
		var err error
		if a.GID, err = findGroup(groupName); err != nil {
			return nil, fmt.Errorf("--group %s: %w", groupName, err)
		}
	}
	if a.UID == os.Geteuid() && a.GID == os.Getegid() {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("--user %s --group %s: only root may start workers as somebody else, and this is user %d",
			userName, groupName, os.Geteuid())
	}
	if !initgroups || found == nil {
		return a, nil
	}
	names, err := found.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("--initgroups: %w", err)
	}
	for _, name := range names {
		if n, err := strconv.ParseUint(name, 10, 32); err == nil {
			a.Groups = append(a.Groups, uint32(n))
		}
	}
	return a, nil
}

// Owner reads USER[:GROUP] or :GROUP, names or numbers, and returns what gives a file
// to them. A user's own group comes with it where none is named.
func Owner(text string) (func(path string) error, error) {
	userName, groupName, _ := strings.Cut(text, ":")
	uid, gid := -1, -1 // stay
	if userName != "" {
		n, found, err := findUser(userName)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", userName, err)
		}
		uid = n
		if found != nil {
			gid, _ = strconv.Atoi(found.Gid)
		}
	}
	if groupName != "" {
		var err error
		if gid, err = findGroup(groupName); err != nil {
			return nil, fmt.Errorf("group %s: %w", groupName, err)
		}
	}
	return func(path string) error { return os.Lchown(path, uid, gid) }, nil
}

// findUser returns the number, and the entry of that user if there is one.
func findUser(name string) (int, *user.User, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		found, err := user.LookupId(name)
		if err != nil { // a number needs no name
			return int(n), nil, nil
		}
		return int(n), found, nil
	}
	found, err := user.Lookup(name)
	if err != nil {
		return 0, nil, missing(err, "user")
	}
	n, err := strconv.Atoi(found.Uid)
	return n, found, err
}

func findGroup(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return int(n), nil
	}
	found, err := user.LookupGroup(name)
	if err != nil {
		return 0, missing(err, "group")
	}
	return strconv.Atoi(found.Gid)
}

func missing(err error, what string) error {
	var noUser user.UnknownUserError
	var noGroup user.UnknownGroupError
	if errors.As(err, &noUser) || errors.As(err, &noGroup) {
		return fmt.Errorf("there is no such %s", what)
	}
	return err
}

// Credential is for starting a process as this account.
func (a *Account) Credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID), Groups: a.Groups}
}

// Chown gives a file to this account.
func (a *Account) Chown(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, a.UID, a.GID)
}
