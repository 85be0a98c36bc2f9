package poll

import (
	"testing"
	"time"
)

func TestDefaults(t *testing.T) {
	settings := func(interval, timeout, backoff, idle time.Duration) Settings {
		return Settings{Interval: interval, Timeout: timeout, MaxBackoff: backoff, IdleInterval: idle}
	}
	for _, test := range []struct {
		name       string
		give, want Settings
	}{
		{"nothing said", Settings{}, settings(15*time.Second, 10*time.Second, 30*time.Second, 15*time.Second)},
		{"negative is nothing", settings(-1, -1, -1, -1), settings(15*time.Second, 10*time.Second, 30*time.Second, 15*time.Second)},
		{"short interval", Settings{Interval: 500 * time.Millisecond},
			settings(500*time.Millisecond, time.Second, 2500*time.Millisecond, 500*time.Millisecond)},
		{"two seconds", Settings{Interval: 2 * time.Second}, settings(2*time.Second, 2*time.Second, 10*time.Second, 2*time.Second)},
		{"a minute", Settings{Interval: time.Minute}, settings(time.Minute, 10*time.Second, 30*time.Second, time.Minute)},
		{"all said", settings(time.Second, time.Minute, time.Hour, 2*time.Hour), settings(time.Second, time.Minute, time.Hour, 2*time.Hour)},
		{"idle is never faster", settings(time.Minute, time.Second, time.Hour, time.Second), settings(time.Minute, time.Second, time.Hour, time.Minute)},
		{"the longest there is", Settings{Interval: 1<<63 - 1}, settings(1<<63-1, 10*time.Second, 30*time.Second, 1<<63-1)},
	} {
		if got := test.give.withDefaults(); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestUsersAgree(t *testing.T) {
	one := Settings{Interval: time.Second, Timeout: time.Second, MaxBackoff: time.Minute, IdleInterval: time.Hour}
	two := Settings{Interval: time.Minute, Timeout: 10 * time.Second, MaxBackoff: 30 * time.Second, IdleInterval: time.Minute}
	want := Settings{Interval: time.Second, Timeout: 10 * time.Second, MaxBackoff: 30 * time.Second, IdleInterval: time.Minute}
	if got := one.with(two); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := two.with(one); got != want {
		t.Errorf("the other way round %+v, want %+v", got, want)
	}
}

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings Settings
		want     []time.Duration // after 0, 1, 2, … failures
	}{
		{"doubles up to the longest", Settings{Interval: time.Second, MaxBackoff: 5 * time.Second},
			[]time.Duration{time.Second, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}},
		{"exact double of the interval", Settings{Interval: time.Second, MaxBackoff: 4 * time.Second},
			[]time.Duration{time.Second, time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second}},
		{"a failing source sooner than a good one", Settings{Interval: time.Minute, MaxBackoff: 10 * time.Second},
			[]time.Duration{time.Minute, 10 * time.Second, 10 * time.Second}},
		{"no overflow", Settings{Interval: 1 << 62, MaxBackoff: 1<<63 - 1},
			[]time.Duration{1 << 62, 1 << 62, 1<<63 - 1, 1<<63 - 1}},
	} {
		for failures, want := range test.want {
			if got := test.settings.delay(failures); got != want {
				t.Errorf("%s: after %d failures %s, want %s", test.name, failures, got, want)
			}
		}
	}
	// However long an outage lasts, working the delay out stays cheap and bounded.
	if got := (Settings{Interval: time.Second, MaxBackoff: 5 * time.Second}).delay(1 << 40); got != 5*time.Second {
		t.Errorf("after very many failures %s, want 5s", got)
	}
}
