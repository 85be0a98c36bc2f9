package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/keda-headroom/headroom/metrics"
	"github.com/keda-headroom/headroom/metrics/awscall"
)

// The answers here are ones that no sound server gives, or that AWS gives for
// reasons that a stand-in without authentication can't have.

// answering returns a queue whose server gives this answer to everything.
func answering(t *testing.T, answer http.HandlerFunc) (queue *Queue, endpoint string) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	client := newClient(t, &aws.Config{
		Region:      "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzEJr-session"),
		HTTPClient:  server.Client(),
	})
	queue, err := client.Queue(Location{URL: server.URL + "/123456789012/orders"})
	if err != nil {
		t.Fatal(err)
	}
	return queue, server.URL
}

// awsError answers as AWS does: the shape in the body.
func awsError(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazon.coral.service#" + code, "message": message})
	}
}

func attributes(of map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_ = json.NewEncoder(w).Encode(map[string]any{"Attributes": of})
	}
}

func TestWhatIsAsked(t *testing.T) {
	t.Parallel()
	asked := make(chan map[string]any, 1)
	queue, endpoint := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body := map[string]any{"target": r.Header.Get("X-Amz-Target")}
		_ = json.NewDecoder(r.Body).Decode(&body)
		asked <- body
		attributes(map[string]string{
			"ApproximateNumberOfMessages": "9223372036854775807", "ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "1",
		})(w, r)
	})
	wantDepth(t, queue, metrics.Queue{Visible: 1<<63 - 1, Delayed: 1})
	want := fmt.Sprint(map[string]any{
		"target": "AmazonSQS.GetQueueAttributes", "QueueUrl": endpoint + "/123456789012/orders",
		"AttributeNames": []any{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"},
	})
	if got := fmt.Sprint(<-asked); got != want {
		t.Errorf("asked %s\n want %s", got, want)
	}
}

func TestACountThatIsMissingOrNoneIsNever0(t *testing.T) {
	t.Parallel()
	good := map[string]string{"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "2", "ApproximateNumberOfMessagesDelayed": "1"}
	for _, name := range counted {
		for _, bad := range []string{"", "-1", "+1", "three", "1.5", "1e3", " 1", "9223372036854775808", "missing"} {
			answer := map[string]string{}
			for k, v := range good {
				answer[k] = v
			}
			want := fmt.Sprintf("expected a whole number of 0 or more for %s, found %q", name, bad)
			if answer[string(name)] = bad; bad == "missing" {
				delete(answer, string(name))
				want = fmt.Sprintf("expected the attribute %s, found none", name)
			}
			queue, _ := answering(t, attributes(answer))
			got, err := queue.Read(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), queue.location.URL) {
				t.Errorf("%s = %q: got %+v, %v; want an error with %q", name, bad, got, err, want)
			}
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		result awscall.Result
		words  []string
	}{
		{"denied by a policy", awsError(400, "AccessDeniedException", "User: arn:aws:iam::123456789012:user/x is not authorized"), awscall.ResultDenied,
			[]string{"needs sqs:GetQueueAttributes", "user/x is not authorized"}},
		{"clock or secret", awsError(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"), awscall.ResultCredentials,
			[]string{"SQS doesn't accept our credentials (SignatureDoesNotMatch)", "clock of this machine"}},
		{"expired", awsError(403, "ExpiredToken", "The security token included in the request is expired"), awscall.ResultCredentials,
			[]string{"they have expired"}},
		{"of somebody else", awsError(403, "InvalidClientTokenId", "The security token included in the request is invalid."), awscall.ResultCredentials,
			[]string{"(InvalidClientTokenId): check that they are current"}},
		{"throttled", awsError(400, "RequestThrottled", "Request is throttled."), awscall.ResultThrottled, []string{"SQS throttles us (RequestThrottled)"}},
		{"too many requests", awsError(429, "Whatever", ""), awscall.ResultThrottled, nil},
		{"in trouble", awsError(500, "InternalFailure", "We encountered an internal error"), awscall.ResultServerError, []string{"HTTP status 500", "internal error"}},
		{"another error", awsError(400, "InvalidAddress", "The address is not valid for this endpoint."), awscall.ResultRefused,
			[]string{"SQS refuses the request (InvalidAddress): The address is not valid for this endpoint."}},
		{"a proxy's page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Sign in</html>") }, awscall.ResultBadAnswer,
			[]string{"(HTTP status 200) is none of SQS", "proxy"}},
		{"a web server", http.NotFound, awscall.ResultBadAnswer, []string{"(HTTP status 404) is none of SQS"}},
		{"a gateway", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, awscall.ResultServerError, []string{"HTTP status 502"}},
		{"a very long message", awsError(400, "Odd", strings.Repeat("é", 5000)+"\nsecond line"), awscall.ResultRefused, []string{"…"}},
	} {
		queue, endpoint := answering(t, test.answer)
		wantFailure(t.Context(), t, queue, test.result, append(test.words, "GetQueueAttributes of queue "+endpoint+"/123456789012/orders: ")...)
		if _, err := queue.Read(t.Context()); err == nil || len(err.Error()) > 800 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is of several lines or too long: %v", test.name, err)
		}
	}
}

func TestAnAnswerWithoutAURL(t *testing.T) {
	t.Parallel()
	queue, endpoint := answering(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	queue.location, queue.secrets = Location{Name: "orders"}, &awscall.Secrets{}
	queue.url.Store(nil)
	wantFailure(t.Context(), t, queue, awscall.ResultBadAnswer, "GetQueueUrl of queue orders: the answer of "+endpoint+" has no QueueUrl")
}

// TestErrorsKeepCredentialsToThemselves has servers answer with all that they
// were sent, as AWS does in the canonical string of a signature error.
func TestErrorsKeepCredentialsToThemselves(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"SignatureDoesNotMatch", "AccessDenied", "InvalidParameterValue", "InternalFailure"} {
		queue, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
			token := r.Header.Get("X-Amz-Security-Token")
			if token == "" {
				t.Error("the request has no session token: this test tests nothing")
			}
			awsError(403, code, "token "+token+" secret wJalrXUtnFEMI/K7MDENG authorization "+r.Header.Get("Authorization"))(w, r)
		})
		_, err := queue.Read(t.Context())
		if err == nil {
			t.Fatal("no error")
		}
		for unwrapped := err; unwrapped != nil; {
			for _, secret := range []string{"FwoGZXIvYXdzEJr-session", "wJalrXUtnFEMI"} {
				if text := fmt.Sprintf("%v %+v", unwrapped, unwrapped); strings.Contains(text, secret) {
					t.Errorf("%s: %s is in %s", code, secret, text)
				}
			}
			wrapper, ok := unwrapped.(interface{ Unwrap() error })
			if !ok {
				break
			}
			unwrapped = wrapper.Unwrap()
		}
	}
}

func TestAnEndpointThatIsNotThere(t *testing.T) {
	t.Parallel()
	config := staticConfig("eu-west-1")
	config.HTTPClient = &http.Client{Transport: &http.Transport{
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
		},
	}}
	queue, err := newClient(t, config).Queue(Location{URL: "http://sqs.invalid/123456789012/orders"})
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t.Context(), t, queue, awscall.ResultUnreachable, "http://sqs.invalid can't be reached: ", "no such host")
}

// emptyEnvironment leaves the SDK nothing to find.
func emptyEnvironment(t *testing.T) (home string) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // so that it is restored
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return home
}

func TestTheDefaultConfiguration(t *testing.T) {
	q := newQueues(t)
	q.send(q.create("orders"), 2, 0)
	emptyEnvironment(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ENDPOINT_URL_SQS", q.URL())
	t.Setenv("AWS_USE_FIPS_ENDPOINT", "true") // can't be had together with an endpoint

	open := func() *Queue {
		client, err := New(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		queue, err := client.Queue(Location{Name: "orders"})
		if err != nil {
			t.Fatal(err)
		}
		return queue
	}
	wantFailure(t.Context(), t, open(), awscall.ResultCredentials,
		"GetQueueUrl of queue orders: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role (EKS Pod Identity, IRSA)", "no EC2 IMDS role found")
	if calls := q.Calls()["GetQueueUrl"]; calls != 0 {
		t.Errorf("asked %d times without credentials", calls)
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
	wantDepth(t, open(), metrics.Queue{Visible: 2})
}

func TestCredentialsOfAProcessAreNotRepeated(t *testing.T) {
	home := emptyEnvironment(t)
	t.Setenv("AWS_REGION", "eu-west-1")
	text := "[default]\ncredential_process = echo 'wJalrXUtnFEMI is not JSON'\n"
	if err := os.WriteFile(filepath.Join(home, "config"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	queue, err := client.Queue(Location{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = queue.Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no credentials") || strings.Contains(err.Error(), "wJalrXUtnFEMI") {
		t.Errorf("%v: want no credentials, and nothing of what the process said", err)
	}
}

func TestACredentialServiceThatRefuses(t *testing.T) {
	q := newQueues(t)
	home := emptyEnvironment(t)
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>`)
	}))
	defer sts.Close()
	token := filepath.Join(home, "token")
	if err := os.WriteFile(token, []byte("a-web-identity-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	t.Setenv("AWS_ENDPOINT_URL_SQS", q.URL())
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/headroom")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	client, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	queue, err := client.Queue(Location{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t.Context(), t, queue, awscall.ResultCredentials,
		"no credentials: they were refused to us (AccessDenied): Not authorized to perform sts:AssumeRoleWithWebIdentity; check the role and who may assume it")
}

func TestNoChainAtAll(t *testing.T) {
	t.Parallel()
	queue, err := newClient(t, &aws.Config{Region: "eu-west-1"}).Queue(Location{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	wantFailure(t.Context(), t, queue, awscall.ResultCredentials, "no credentials", "the configuration has no credentials")
}

func TestAConfigurationThatCannotBeRead(t *testing.T) {
	emptyEnvironment(t)
	t.Setenv("AWS_PROFILE", "no-such-profile")
	if _, err := New(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "no-such-profile") {
		t.Errorf("%v, want an error that names the profile", err)
	}
}
