package corefile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/plugin"
	"filippo.io/age/tag"
)

// maxKeyFile bounds a file of recipients or identities, as age does.
const maxKeyFile = 16 << 20

// ParseRecipients returns the recipients in keys and in the files, one on each
// line; empty lines and lines that begin with # are comments. It accepts what
// age accepts: age1…, the post-quantum age1pq1…, hardware keys (age1tag1…,
// age1tagpq1…), plugins, and ssh-ed25519 and ssh-rsa keys. It encrypts once to
// check that the recipients can be used together, so that writing a core does
// not fail later.
func ParseRecipients(keys, files []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, key := range keys {
		r, err := parseRecipient(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("recipient %q: %w", key, err)
		}
		all = append(all, r)
	}
	for _, file := range files {
		found, err := readRecipients(file)
		if err != nil {
			return nil, fmt.Errorf("recipients file %s: %w", file, err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	if _, err := age.Encrypt(io.Discard, all...); err != nil {
		return nil, fmt.Errorf("encrypt to these recipients: %w", err)
	}
	return all, nil
}

func parseRecipient(key string) (age.Recipient, error) {
	switch {
	case strings.HasPrefix(key, "AGE-"):
		return nil, fmt.Errorf("this is a secret key: use its public key, which age-keygen -y prints")
	case strings.HasPrefix(key, "ssh-"):
		return agessh.ParseRecipient(key)
	case strings.HasPrefix(key, "age1tag1"), strings.HasPrefix(key, "age1tagpq1"):
		return tag.ParseRecipient(key)
	case strings.HasPrefix(key, "age1pq1"):
		return age.ParseHybridRecipient(key)
	case strings.HasPrefix(key, "age1") && strings.Count(key, "1") > 1:
		return plugin.NewRecipient(key, &plugin.ClientUI{}) // a plugin that prompts fails: a supervisor has no user
	case strings.HasPrefix(key, "age1"):
		return age.ParseX25519Recipient(key)
	}
	return nil, fmt.Errorf("unknown kind of key: use age1…, age1pq1…, ssh-ed25519 or ssh-rsa")
}

func readRecipients(path string) ([]age.Recipient, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []age.Recipient
	lines := bufio.NewScanner(io.LimitReader(f, maxKeyFile))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r, err := parseRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no recipients found")
	}
	return all, nil
}
