package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The SQLSTATEs that we have something to say about.
const (
	tooManyConnections    = "53300"
	invalidPassword       = "28P01"
	invalidAuthorization  = "28000"
	invalidCatalogName    = "3D000"
	insufficientPrivilege = "42501"
	undefinedObject       = "42704"
	queryCanceled         = "57014"
	adminShutdown         = "57P01"
	crashShutdown         = "57P02"
	cannotConnectNow      = "57P03"
)

// problem is an error in our own words. Of what caused it only the end of a
// context is kept, so that no formatting of it can show what the driver knows.
type problem struct {
	text  string
	cause error // context.Canceled, context.DeadlineExceeded or nil
}

func (p *problem) Error() string { return p.text }
func (p *problem) Unwrap() error { return p.cause }

// connectTrouble words why no session could be opened.
func connectTrouble(config *pgx.ConnConfig, err error) error {
	return trouble("cannot connect to "+where(config), err, func(answer *pgconn.PgError) string {
		// The server's words can quote any part of a DSN that was put together
		// wrongly.
		return "the server's own log says why"
	}, config.Password)
}

// queryTrouble words why the session could not be used.
func queryTrouble(config *pgx.ConnConfig, err error) error {
	return trouble("cannot read "+where(config), err, func(answer *pgconn.PgError) string {
		return "the server says: " + answer.Message // about our own query
	}, config.Password)
}

// trouble words an error of the driver. other words the answers of the server
// that have no words here; the password is struck from all that is not ours.
func trouble(doing string, err error, other func(*pgconn.PgError) string, password string) error {
	var reasons []string
	for _, branch := range branches(err) {
		reason := reasonOf(branch, other)
		if password != "" {
			reason = strings.ReplaceAll(reason, password, "xxxxx")
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	p := &problem{text: doing + ": " + strings.Join(reasons, "; or, tried another way: ")}
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			p.cause = cause
			break
		}
	}
	return p
}

// branches splits an error where several were joined: the driver tries several
// addresses, and each with and without TLS, and joins what went wrong.
func branches(err error) []error {
	switch wrapper := err.(type) { //nolint:errorlint // goes through the tree itself
	case interface{ Unwrap() []error }:
		var all []error
		for _, inner := range wrapper.Unwrap() {
			all = append(all, branches(inner)...)
		}
		return all
	case interface{ Unwrap() error }:
		if inner := wrapper.Unwrap(); inner != nil {
			if all := branches(inner); len(all) > 1 {
				return all
			}
		}
	}
	return []error{err}
}

// refusedAsFull reports whether any attempt of a connect was refused because no
// slot is free. It looks at every error of the chain: after a 53300 over TLS the
// driver may try without, and be told 28000.
func refusedAsFull(err error) bool {
	return slices.ContainsFunc(branches(err), func(branch error) bool {
		answer, ok := errors.AsType[*pgconn.PgError](branch)
		return ok && answer.Code == tooManyConnections
	})
}

// sessionLost reports whether a failed query says that the session is gone, and
// not that the server dislikes the query or was too slow.
func sessionLost(err error) bool {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return answer.Code == adminShutdown || answer.Code == crashShutdown || answer.Code == cannotConnectNow
	}
	return !timedOut(err) && !errors.Is(err, context.Canceled)
}

func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || ok && timeout.Timeout()
}

func reasonOf(err error, other func(*pgconn.PgError) string) string {
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		means, ok := answers[answer.Code]
		if !ok {
			means = other(answer)
		}
		return fmt.Sprintf("%s (SQLSTATE %s)", means, answer.Code)
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		if lookup.IsNotFound {
			return fmt.Sprintf("no address is known for the host name %q: check the host of the DSN, and DNS", lookup.Name)
		}
		return fmt.Sprintf("the host name %q can't be resolved now: check DNS", lookup.Name)
	}
	_, untrusted := errors.AsType[x509.UnknownAuthorityError](err)
	_, misnamed := errors.AsType[x509.HostnameError](err)
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled before the server answered"
	case timedOut(err):
		return "no answer in time: the server hangs or is overloaded, or a firewall, security group or NetworkPolicy drops the packets"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nothing listens there; is the server up, and are host and port right?"
	case errors.Is(err, syscall.ENOENT):
		return "there is no such socket: is the server up, and is the directory right?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to this address"
	case misnamed:
		return "the server's certificate is for another name: use that name as the host, or sslmode=verify-ca"
	case untrusted, unverified:
		return "the server's certificate is not trusted: give the file of its authority as sslrootcert"
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return "the server does not do TLS, and the DSN's sslmode asks for it"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server closed the connection: it crashed, restarted, or a proxy in between gave up"
	}
	return innermost(err).Error()
}

// answers say what a person can do about what the server answered.
var answers = map[string]string{
	invalidPassword: "the password is wrong, or there is no such user; was it changed on one side only?",
	invalidAuthorization: "the server does not let this login in: there is no such role, or it may not log in, " +
		"or pg_hba.conf has no entry for this user, database and address with or without TLS (try sslmode=require)",
	invalidCatalogName: "there is no such database",
	insufficientPrivilege: "our role lacks a privilege: it needs CONNECT on the database, " +
		"and pg_monitor to see everything (GRANT pg_monitor TO our role)",
	undefinedObject:    "the DSN sets a parameter that the server does not know, or the server is older than PostgreSQL 10",
	queryCanceled:      "the query took too long and was ended: the server is overloaded, or a system catalog is locked",
	tooManyConnections: "no slot is free",
	adminShutdown:      "the server ended our session: it is shutting down, or somebody terminated it",
	crashShutdown:      "the server ended our session: one of its processes crashed",
	cannotConnectNow:   "the server is starting up, shutting down or recovering",
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
