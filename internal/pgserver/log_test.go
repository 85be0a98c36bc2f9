package pgserver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseLog(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(strings.Join([]string{
		`2026-01-02 03:04:05.006 UTC [77] LOG:  before the settings were read`,
		`2026-01-02 03:04:05.006 UTC|78||||||LOG:  fields without values: no SQLSTATE either`,
		`2026-01-02 03:04:05.006 UTC|78|00000|||||LOG:  starting PostgreSQL`,
		`2026-01-02 03:04:06.007 UTC|79|53300|worker|orders|[unknown]|127.1.0.9(4321)|FATAL:  sorry, too many clients already`,
		`2026-01-02 03:04:07.000 UTC|80|42601|web|orders|shop:  1|127.0.0.1(4322)|ERROR:  syntax error at or near "a|b"`,
		`2026-01-02 03:04:07.000 UTC|80|42601|web|orders|shop:  1|127.0.0.1(4322)|STATEMENT:  SELECT`,
		"\t53300 on a line of the statement",
		`2026-01-02 03:04:08.000 UTC|81|08P01|[unknown]|[unknown]|[unknown]|[local]|LOG:  incomplete startup packet`,
		`yesterday|82|53300|worker|orders|[unknown]|127.0.0.1(1)|FATAL:  no time`,
		`2026-01-02 03:04:08.000 UTC|83|53300|worker|orders|[unknown]|127.0.0.1(1)|no severity`,
	}, "\n"), "|", logSeparator)
	// The last line's own bars are part of its message.
	text = strings.ReplaceAll(text, "a"+logSeparator+"b", "a|b")

	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	want := []LogEntry{
		{Time: at, Severity: "LOG", Message: "fields without values: no SQLSTATE either"},
		{Time: at, Severity: "LOG", SQLState: "00000", Message: "starting PostgreSQL"},
		{Time: at.Add(1001 * time.Millisecond), Severity: "FATAL", SQLState: "53300", User: "worker", Database: "orders",
			Client: netip.MustParseAddrPort("127.1.0.9:4321"), Message: "sorry, too many clients already"},
		{Time: at.Add(1994 * time.Millisecond), Severity: "ERROR", SQLState: "42601", User: "web", Database: "orders",
			Client: netip.MustParseAddrPort("127.0.0.1:4322"), Application: "shop:  1", Message: `syntax error at or near "a|b"`},
		{Time: at.Add(2994 * time.Millisecond), Severity: "LOG", SQLState: "08P01", Message: "incomplete startup packet"},
	}
	got := parseLog(text)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if refused := slices.IndexFunc(got, LogEntry.Refused); refused != 2 {
		t.Errorf("entry %d is the refusal, want 2", refused)
	}
}

func FuzzParseLogLine(f *testing.F) {
	f.Add("2026-01-02 03:04:06.007 UTC\x1f79\x1f53300\x1fworker\x1forders\x1f[unknown]\x1f127.1.0.9(4321)\x1fFATAL:  sorry")
	f.Add("\x1f\x1f\x1f\x1f\x1f\x1f(\x1f:  ")
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseLogLine(line)
		if !ok && e != (LogEntry{}) {
			t.Errorf("%q: not an entry, but %+v", line, e)
		}
		if ok && !strings.HasSuffix(line, e.Message) {
			t.Errorf("%q: message %q is not its end", line, e.Message)
		}
	})
}
