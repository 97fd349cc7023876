package corefile

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

// sshKeys returns the lines of an Ed25519 and an RSA key in authorized_keys.
func sshKeys(t *testing.T) (ed25519Key, rsaKey string) {
	t.Helper()
	line := func(public any, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " ada@example.com"
	}
	public, _, err := ed25519.GenerateKey(nil)
	ed25519Key = line(public, err)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	return ed25519Key, line(&private.PublicKey, err)
}

func TestParseRecipients(t *testing.T) {
	classic := key(t).Recipient().String()
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sshEd25519, sshRSA := sshKeys(t)
	quantum := hybrid.Recipient().String()
	file := filepath.Join(t.TempDir(), "recipients.txt")
	if err := os.WriteFile(file, []byte("# the team\n\n"+classic+"\n  "+sshEd25519+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keys, files []string
		want        int
	}{
		{nil, nil, 0},
		{[]string{classic}, nil, 1},
		{[]string{quantum}, nil, 1},
		{[]string{sshEd25519}, nil, 1},
		{[]string{sshRSA}, nil, 1},
		{[]string{classic, sshEd25519}, nil, 2},
		{[]string{" " + classic + "\n"}, []string{file}, 3},
	} {
		if got, err := ParseRecipients(c.keys, c.files); err != nil || len(got) != c.want {
			t.Errorf("ParseRecipients(%q, %q): %d, %v", c.keys, c.files, len(got), err)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.txt")
	empty := filepath.Join(t.TempDir(), "empty.txt")
	if err := os.WriteFile(bad, []byte("# one\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty, []byte("# none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct{ keys, files []string }{
		"unknown kind of key":      {[]string{"nonsense"}, nil},
		"this is a secret key":     {[]string{key(t).String()}, nil},
		`recipient "age1nonsense"`: {[]string{"age1nonsense"}, nil},
		"bad.txt: line 2: unknown": {nil, []string{bad}},
		"no recipients found":      {nil, []string{empty}},
		"no such file":             {nil, []string{bad + "x"}},
		// The error comes before anything is captured.
		"encrypt to these recipients": {[]string{classic, quantum}, nil},
	} {
		if _, err := ParseRecipients(c.keys, c.files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRecipients(%q, %q): %v, want %q", c.keys, c.files, err, want)
		}
	}
}
