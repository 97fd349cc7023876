//go:build linux

package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// A Bucket sends cores to a bucket of an object store that has the interface of S3.
type Bucket struct {
	client         *minio.Client
	bucket, prefix string
	endpoint       *url.URL
}

// Variables of the AWS command-line tools, which configure the same things here.
const (
	regionVariable        = "AWS_REGION"
	defaultRegionVariable = "AWS_DEFAULT_REGION"
	endpointVariable      = "AWS_ENDPOINT_URL"
	s3EndpointVariable    = "AWS_ENDPOINT_URL_S3"
)

// NewBucket returns the bucket of a URL such as s3://bucket/prefix. The endpoint,
// the region and the credentials are those of the platform: of the environment,
// the shared files, a web identity, the container or the instance. They are
// looked up when a core is sent.
func NewBucket(target string, transport http.RoundTripper) (*Bucket, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Port() != "" {
		return nil, errors.New("want s3://BUCKET or s3://BUCKET/PREFIX")
	}
	endpoint, err := endpointURL()
	if err != nil {
		return nil, err
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:      credentials.New(&platform{client: &http.Client{Transport: transport, Timeout: credentialsWait}}),
		Secure:     endpoint.Scheme == "https",
		Transport:  transport,
		Region:     firstOf(os.Getenv(regionVariable), os.Getenv(defaultRegionVariable)),
		MaxRetries: 1, // the courier repeats
	})
	if err != nil {
		return nil, err
	}
	return &Bucket{client: client, bucket: u.Host, prefix: strings.Trim(u.Path, "/"), endpoint: endpoint}, nil
}

// credentialsWait bounds each request for credentials, which are a few hundred bytes.
const credentialsWait = 10 * time.Second

// endpointURL returns the URL of the server. The client makes the path of a request of
// the bucket and the key, and the credentials have places of their own, so the URL has
// a host and nothing more.
func endpointURL() (*url.URL, error) {
	name := s3EndpointVariable
	if os.Getenv(name) == "" {
		name = endpointVariable
	}
	endpoint, err := url.Parse(firstOf(os.Getenv(name), "https://s3.amazonaws.com"))
	switch {
	case err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http":
		return nil, fmt.Errorf("%s: want a URL that begins with https:// or http://", name) // without the URL
	case strings.Trim(endpoint.Path, "/") != "" || endpoint.RawQuery != "" || endpoint.Fragment != "" || endpoint.User != nil:
		return nil, fmt.Errorf("%s: want a URL with a host alone, such as https://minio.example.com:9000: remove the rest", name)
	}
	return endpoint, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// Endpoint returns the URL of the server.
func (b *Bucket) Endpoint() string { return b.endpoint.String() }

func (b *Bucket) key(name string) string { return path.Join(b.prefix, name) }

// Where returns the URL of a core in the bucket.
func (b *Bucket) Where(name string) string { return "s3://" + b.bucket + "/" + b.key(name) }

// OneObject returns false: the name of each core is part of its key.
func (b *Bucket) OneObject() bool { return false }

// maxObject is the largest object of one request. Larger ones are sent in parts, which
// an interrupted delivery leaves in the bucket.
const maxObject = 5 << 30

// Send implements [Sender].
func (b *Bucket) Send(ctx context.Context, core *os.File, name string, size int64) (again bool, err error) {
	_, err = b.client.PutObject(ctx, b.bucket, b.key(name), core, size, minio.PutObjectOptions{
		ContentType: "application/octet-stream", DisableMultipart: size <= maxObject,
	})
	if err == nil {
		return false, nil
	}
	var response minio.ErrorResponse
	if !errors.As(err, &response) || response.StatusCode == 0 {
		return true, fmt.Errorf("upload to %s: %w", b.endpoint.Host, withoutURL(err))
	}
	again = mayPass(response.StatusCode) || response.Code == "ExpiredToken" || response.Code == "RequestTimeTooSkewed"
	return again, fmt.Errorf("upload to %s: %d %s: %s", b.endpoint.Host, response.StatusCode, plainLine(response.Code), plainLine(response.Message))
}

// platform looks for credentials where the platform puts them, as the AWS
// command-line tools do.
type platform struct {
	client *http.Client
	found  credentials.Provider
}

var errNone = errors.New("none")

// RetrieveWithCredContext returns the credentials of the first place that has some.
func (p *platform) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	var all []error
	for _, place := range []struct {
		name string
		credentials.Provider
	}{
		{"environment", &credentials.EnvAWS{}},
		{"shared files", &credentials.FileAWSCredentials{}},
		{"web identity, container or instance", &credentials.IAM{Client: p.client, Endpoint: identityEndpoint()}},
	} {
		value, err := place.RetrieveWithCredContext(cc)
		if err == nil && value.AccessKeyID != "" && value.SecretAccessKey != "" {
			p.found = place.Provider
			return value, nil
		}
		if err == nil {
			err = errNone
		}
		all = append(all, fmt.Errorf("%s: %s", place.name, plainLine(withoutURL(err).Error())))
	}
	p.found = nil
	return credentials.Value{}, fmt.Errorf("no credentials: %w; %w; %w", all[0], all[1], all[2])
}

// Retrieve is RetrieveWithCredContext without a context.
func (p *platform) Retrieve() (credentials.Value, error) {
	return p.RetrieveWithCredContext(&credentials.CredContext{Client: p.client})
}

// identityEndpoint returns the service that exchanges a web identity, or that
// returns the credentials of the instance, if the environment names it.
func identityEndpoint() string {
	switch {
	case os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return firstOf(os.Getenv("AWS_ENDPOINT_URL_STS"), os.Getenv(endpointVariable))
	case os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" || os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "":
		return ""
	default:
		return os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")
	}
}

// IsExpired reports whether the credentials must be looked up.
func (p *platform) IsExpired() bool { return p.found == nil || p.found.IsExpired() }

// plainLine returns text as one escaped line of a limited length.
func plainLine(text string) string {
	line := strings.Join(strings.Fields(strings.ToValidUTF8(text, " ")), " ")
	cut := strings.TrimFunc(line[:min(len(line), maxLine)], isReplacement)
	if len(cut) < len(line) {
		cut += " …"
	}
	quoted := strconv.Quote(cut)
	return quoted[1 : len(quoted)-1]
}
