//go:build linux

package deliver

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meminspect/meminspect/internal/await"
	"github.com/meminspect/meminspect/internal/debuggers"
)

const (
	keyID  = "AKIATEST0001"
	secret = "s3cret-s3cret-s3cret"
)

// store3 starts a server with the interface of S3, which keeps the bucket "cores" in
// a folder, and makes it the endpoint of this process. No credentials are set.
func store3(t *testing.T) (folder string) {
	t.Helper()
	server := debuggers.Need(t, "rclone-s3")
	root := t.TempDir()
	folder = filepath.Join(root, "cores")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(server, "serve", "s3", "--addr", address, "--auth-key", keyID+","+secret, "--config", os.DevNull, root)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	platformOf(t, "http://"+address)
	await.True(t, "the server listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return folder
}

// platformOf makes a server the endpoint of this process, for which no credentials are set.
func platformOf(t *testing.T, endpoint string) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", s3EndpointVariable,
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv(endpointVariable, endpoint)
	t.Setenv(regionVariable, "eu-north-1")
}

func bucketOf(t *testing.T, target string) *Bucket {
	t.Helper()
	b, err := NewBucket(target, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A core reaches a real server with the credentials of each place where a platform
// puts them.
func TestBucketCredentials(t *testing.T) {
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	instance, err := json.Marshal(map[string]string{"Code": "Success", "AccessKeyId": keyID, "SecretAccessKey": secret, "Token": "token", "Expiration": expires})
	if err != nil {
		t.Fatal(err)
	}
	// The metadata services of an instance and of a container, and the service that
	// exchanges a web identity.
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			fmt.Fprint(w, "imds")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/" && r.Header.Get("X-Aws-Ec2-Metadata-Token") == "imds":
			fmt.Fprint(w, "role")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/role", r.URL.Path == "/container" && r.Header.Get("Authorization") == "pod":
			_, _ = w.Write(instance)
		case r.Method == http.MethodPost && r.FormValue("Action") == "AssumeRoleWithWebIdentity" && r.FormValue("WebIdentityToken") == "jwt" && r.FormValue("RoleArn") == "arn:aws:iam::1:role/cores":
			fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, keyID, secret, expires)
		default:
			http.Error(w, "no such thing", http.StatusNotFound)
		}
	}))
	defer platform.Close()
	file := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, set := range map[string]func(t *testing.T){
		"environment": func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", keyID)
			t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
		},
		"shared file": func(t *testing.T) {
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file(t, "[default]\naws_access_key_id=none\naws_secret_access_key=none\n[cores]\naws_access_key_id="+keyID+"\naws_secret_access_key="+secret+"\n"))
			t.Setenv("AWS_PROFILE", "cores")
		},
		"web identity": func(t *testing.T) {
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file(t, "jwt"))
			t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/cores")
			t.Setenv("AWS_ENDPOINT_URL_STS", platform.URL)
		},
		"container": func(t *testing.T) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", platform.URL+"/container")
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod")
		},
		"instance": func(t *testing.T) { t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", platform.URL) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := store3(t)
			set(t)
			c := courierOf(t, bucketOf(t, "s3://cores/shop/eu/"))
			where, err := c.Put(core())
			if err != nil || where != "s3://cores/shop/eu/"+core().Name || len(c.waiting()) != 0 {
				t.Fatalf("%q, %v, %v waiting", where, err, c.waiting())
			}
			if data, err := os.ReadFile(filepath.Join(folder, "shop/eu", core().Name)); string(data) != content {
				t.Errorf("%d bytes, %v", len(data), err)
			}
		})
	}
}

// What a server rejects for good is not sent again, and the reason has no secret.
func TestBucketRefuses(t *testing.T) {
	store3(t)
	t.Setenv("AWS_ACCESS_KEY_ID", keyID)
	for name, c := range map[string]struct{ target, secret, want string }{
		"secret": {"s3://cores", "wr0ng-wr0ng-wr0ng-wr0ng", ": 403 SignatureDoesNotMatch: "},
		"bucket": {"s3://no-such-bucket/x", secret, ": 404 NoSuchBucket: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_SECRET_ACCESS_KEY", c.secret)
			courier := courierOf(t, bucketOf(t, c.target))
			courier.Pauses = []time.Duration{time.Hour}
			_, err := courier.Put(core())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.secret) || len(courier.waiting()) != 1 {
				t.Errorf("%v, %v waiting", err, courier.waiting())
			}
		})
	}
}

// Without credentials the error names each place, and the core waits for the time
// when there are some.
func TestBucketWithoutCredentials(t *testing.T) {
	folder := store3(t)
	b := bucketOf(t, "s3://cores")
	c := courierOf(t, b)
	c.Wait = time.Second / 2
	delivered := make(chan string, 1)
	c.Note = func(text string) { delivered <- text }
	_, err := c.Put(core())
	for _, want := range []string{"no credentials: environment: none; shared files: ", "; web identity, container or instance: ", "; the core waits in "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", keyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	<-delivered
	if data, err := os.ReadFile(filepath.Join(folder, core().Name)); string(data) != content {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

func TestBucketURL(t *testing.T) {
	for _, target := range []string{"s3://", "s3:///prefix", "s3://a/b?c=d", "s3://key:secret@bucket", "s3://bucket:80", "s3://%zz"} {
		if b, err := NewBucket(target, nil); err == nil {
			t.Errorf("%s: %s", target, b.Where("x"))
		}
	}
	for target, want := range map[string]string{"s3://bucket": "s3://bucket/x", "s3://bucket/": "s3://bucket/x", "s3://bucket/a/b": "s3://bucket/a/b/x"} {
		b, err := NewBucket(target, nil)
		if err != nil || b.Where("x") != want {
			t.Errorf("%s: %v, %v", target, b, err)
		}
	}
	// What an endpoint has beyond a host would be dropped. The error names the variable
	// that is wrong, without its value.
	for _, variable := range []string{endpointVariable, s3EndpointVariable} {
		t.Setenv(endpointVariable, "https://localhost:9000")
		t.Setenv(s3EndpointVariable, "")
		for _, value := range []string{"http://localhost:9000", "http://localhost:9000/"} {
			t.Setenv(variable, value)
			if _, err := NewBucket("s3://bucket", nil); err != nil {
				t.Errorf("%s=%s: %v", variable, value, err)
			}
		}
		for _, value := range []string{"localhost:9000", "secret", "ftp://secret", "http://host/secret", "http://host/?secret", "http://host/#secret", "http://key:secret@host", "http://%zsecret"} {
			t.Setenv(variable, value)
			if _, err := NewBucket("s3://bucket", nil); err == nil || !strings.HasPrefix(err.Error(), variable+": want a URL ") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s=%s: %v", variable, value, err)
			}
		}
	}
}
