package corefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"
)

// ParseIdentities returns the secret keys in files. A file contains age keys,
// one on each line (AGE-SECRET-KEY-1…, the post-quantum AGE-SECRET-KEY-PQ-1…,
// and those of plugins), such a file encrypted with a passphrase, or an SSH
// private key. ask returns the passphrase for a file that has one; it is called
// only when needed.
func ParseIdentities(files []string, ask func(file string) ([]byte, error)) ([]age.Identity, error) {
	var all []age.Identity
	for _, file := range files {
		found, err := readIdentities(file, func() ([]byte, error) { return ask(file) })
		if err != nil {
			return nil, fmt.Errorf("identity file %s: %w", file, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func readIdentities(path string, ask func() ([]byte, error)) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, err
	}
	trimmed := bytes.TrimSpace(text)
	switch {
	case bytes.HasPrefix(text, []byte(ageMagic)), bytes.HasPrefix(trimmed, []byte(armor.Header)):
		return decryptIdentities(text, ask)
	case bytes.HasPrefix(trimmed, []byte("-----BEGIN")):
		id, err := parseSSHIdentity(path, text, ask)
		return []age.Identity{id}, err
	}
	return parseIdentities(string(text))
}

func decryptIdentities(text []byte, ask func() ([]byte, error)) ([]age.Identity, error) {
	passphrase, err := ask()
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, err
	}
	r, _, err := NewReader(bytes.NewReader(bytes.TrimLeft(text, " \r\n")), OpenOptions{Identities: []age.Identity{id}})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	plain, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, err
	}
	return parseIdentities(string(plain))
}

func parseIdentities(text string) ([]age.Identity, error) {
	var all []age.Identity
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := parseIdentity(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err) // which must not quote a secret
		}
		all = append(all, id)
	}
	if len(all) == 0 {
		return nil, errors.New("no secret keys found")
	}
	return all, nil
}

func parseIdentity(line string) (age.Identity, error) {
	var id age.Identity
	var err error
	switch {
	case strings.HasPrefix(line, "AGE-SECRET-KEY-1"):
		id, err = age.ParseX25519Identity(line)
	case strings.HasPrefix(line, "AGE-SECRET-KEY-PQ-1"):
		id, err = age.ParseHybridIdentity(line)
	case strings.HasPrefix(line, "AGE-PLUGIN-"):
		id, err = plugin.NewIdentity(line, plugin.NewTerminalUI(logPlugin, logPlugin))
	case strings.HasPrefix(line, "age1"), strings.HasPrefix(line, "ssh-"):
		return nil, errors.New("this is a public key: use the file of its secret key")
	default:
		return nil, errors.New("not a secret key")
	}
	if err != nil {
		return nil, errors.New("malformed secret key") // err may quote it
	}
	return id, nil
}

// logPlugin prints messages of a plugin, such as that a key must be touched.
func logPlugin(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func parseSSHIdentity(path string, text []byte, ask func() ([]byte, error)) (age.Identity, error) {
	id, err := agessh.ParseIdentity(text)
	var locked *ssh.PassphraseMissingError
	if !errors.As(err, &locked) {
		return id, err
	}
	public := locked.PublicKey
	if public == nil { // an old format, which does not name it
		line, err := os.ReadFile(path + ".pub")
		if err != nil {
			return nil, fmt.Errorf("find the public key of an SSH key: %w", err)
		}
		if public, _, _, _, err = ssh.ParseAuthorizedKey(line); err != nil {
			return nil, fmt.Errorf("parse %s.pub: %w", path, err)
		}
	}
	return agessh.NewEncryptedSSHIdentity(public, text, ask)
}
