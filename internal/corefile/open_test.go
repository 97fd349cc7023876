package corefile

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/ssh"
)

// identityFile writes the text of a secret key to a file.
func identityFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func noPassphrase(string) ([]byte, error) { return nil, errors.New("asked for a passphrase") }

// Every kind of key that encrypts a core decrypts it, in every form.
func TestOpen(t *testing.T) {
	classic := key(t)
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	sshLine := string(ssh.MarshalAuthorizedKey(sshPublic))
	asked := 0
	ask := func(string) ([]byte, error) { asked++; return []byte("open sesame"), nil }
	for name, k := range map[string]struct{ recipient, identity string }{
		"X25519":                {classic.Recipient().String(), "# mine\n" + classic.String() + "\n"},
		"post-quantum":          {hybrid.Recipient().String(), hybrid.String()},
		"SSH":                   {sshLine, string(pem.EncodeToMemory(plain))},
		"SSH with a passphrase": {sshLine, string(pem.EncodeToMemory(locked))},
		"encrypted key file":    {classic.Recipient().String(), sealed(t, classic.String()+"\n")},
	} {
		to, err := ParseRecipients([]string{k.recipient}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := ParseIdentities([]string{identityFile(t, k.identity)}, ask)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, form := range []Form{{}, {Compress: true}, {Recipients: to}, {Compress: true, Recipients: to}} {
			path := filepath.Join(t.TempDir(), "a.core"+form.Suffix())
			if err := Save(path, form, core); err != nil {
				t.Fatal(err)
			}
			f, err := Open(path, OpenOptions{Identities: ids, Dir: filepath.Dir(path)})
			if err != nil {
				t.Errorf("%s, %q: %v", name, form.Suffix(), err)
				continue
			}
			check(t, f, form)
			if f.Path != path || f.Stored == 0 || f.Modified.IsZero() {
				t.Errorf("%s, %q: %+v", name, form.Suffix(), f)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			stored, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			streamed, err := Read(struct{ io.Reader }{stored}, OpenOptions{Identities: ids})
			stored.Close()
			if err != nil {
				t.Errorf("%s, %q: stream: %v", name, form.Suffix(), err)
				continue
			}
			check(t, streamed, form)
			streamed.Close()
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
				t.Errorf("leaves files: %v", left)
			}
		}
	}
	if asked < 2 {
		t.Errorf("asked for %d passphrases", asked)
	}
}

// sealed returns text encrypted with a passphrase, armored.
func sealed(t *testing.T, text string) string {
	t.Helper()
	to, err := age.NewScryptRecipient("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(10)
	var b bytes.Buffer
	a := armor.NewWriter(&b)
	w, err := age.Encrypt(a, to)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(w, text)
	if err := errors.Join(err, w.Close(), a.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func check(t *testing.T, f *File, form Form) {
	t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
	if err != nil || string(got) != content || f.Truncated != nil || f.Compressed != form.Compress || f.Encrypted != (len(form.Recipients) > 0) {
		t.Errorf("%q: %d bytes, %v, %+v", form.Suffix(), len(got), err, f)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine, other := key(t), key(t)
	var encrypted, compressed bytes.Buffer
	if err := (Form{Recipients: []age.Recipient{mine.Recipient()}}).Write(&encrypted, core); err != nil {
		t.Fatal(err)
	}
	if err := (Form{Compress: true}).Write(&compressed, core); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(write("encrypted", encrypted.String()), OpenOptions{}); !errors.Is(err, ErrEncrypted) {
		t.Error(err)
	}
	var none *age.NoIdentityMatchError
	if _, err := Open(filepath.Join(dir, "encrypted"), OpenOptions{Identities: []age.Identity{other}}); !errors.As(err, &none) {
		t.Error(err)
	}
	if _, err := Open(dir, OpenOptions{}); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
	for _, p := range packed {
		if _, err := Open(write("packed", p.magic+strings.Repeat("x", 100)), OpenOptions{}); !errors.Is(err, ErrPacked) || !strings.Contains(err.Error(), p.undo) {
			t.Errorf("%s: %v", p.name, err)
		}
	}
	// The existing part of a truncated core can be read.
	half, err := Open(write("half", compressed.String()[:compressed.Len()-8]), OpenOptions{})
	if err != nil || half.Truncated == nil {
		t.Fatalf("truncated: %v", err)
	}
	got, _ := io.ReadAll(io.NewSectionReader(half, 0, half.Size))
	if !strings.HasPrefix(content, string(got)) {
		t.Errorf("truncated: %d bytes that differ", len(got))
	}
	half.Close()
	for want, text := range map[string]string{
		"line 2: not a secret key":     "# x\nnonsense\n",
		"line 1: malformed secret key": "AGE-SECRET-KEY-1NONSENSE",
		"this is a public key":         mine.Recipient().String(),
		"no secret keys found":         "# empty\n",
		"asked for a passphrase":       sealed(t, mine.String()),
	} {
		path := write("key", text)
		_, err := ParseIdentities([]string{path}, noPassphrase)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "NONSENSE") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The size limit holds for every way to store a core, and a copy leaves room on
// the disk. Neither leaves a file.
func TestOpenLimits(t *testing.T) {
	mine := key(t)
	var frames, stream, encrypted bytes.Buffer
	if err := (Form{Compress: true}).Write(&frames, core); err != nil {
		t.Fatal(err)
	}
	if err := (Form{Compress: true, Recipients: []age.Recipient{mine.Recipient()}}).Write(&encrypted, core); err != nil {
		t.Fatal(err)
	}
	compressStream(t, &stream, content)
	for name, stored := range map[string]string{"frames": frames.String(), "stream": stream.String(), "encrypted": encrypted.String()} {
		dir := t.TempDir()
		path := filepath.Join(dir, "stored")
		if err := os.WriteFile(path, []byte(stored), 0o600); err != nil {
			t.Fatal(err)
		}
		o := OpenOptions{Dir: dir, MaxBytes: int64(len(content)) - 1, Identities: []age.Identity{mine}}
		if _, err := Open(path, o); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Read(strings.NewReader(stored), o); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s through a pipe: %v", name, err)
		}
		r, _, err := NewReader(strings.NewReader(stored), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s as a stream: %v", name, err)
		}
		o.MaxBytes, o.Room = 0, 10<<10
		f, err := Open(path, o)
		if (name == "stream") != errors.Is(err, ErrNoRoom) {
			t.Errorf("%s without room: %v", name, err)
		}
		if err == nil {
			f.Close()
		}
		if after, _ := os.ReadDir(dir); len(after) != 1 {
			t.Errorf("%s: leaves files: %v", name, after)
		}
	}
}

// compressStream writes text as one frame that does not name its size, as zstd does
// from a pipe.
func compressStream(t *testing.T, w io.Writer, text string) {
	t.Helper()
	z, err := zstd.NewWriter(w)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(z, text)
	if err := errors.Join(err, z.Flush(), z.Close()); err != nil {
		t.Fatal(err)
	}
}
