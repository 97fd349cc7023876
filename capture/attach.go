package capture

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/meminspect/meminspect/capture/internal/build"
	"github.com/meminspect/meminspect/internal/plainfile"
	"github.com/meminspect/meminspect/runtime/format/note"
	"github.com/meminspect/meminspect/runtime/format/place"
)

// Limits of attached files.
const (
	MaxAttached     = 16
	maxAttachedFile = 64 << 10 // bytes
)

// check returns why the options are invalid.
func (o *Options) check() error {
	if err := checkTags(o.Tags); err != nil {
		return err
	}
	for _, l := range o.Place.Lines() {
		if !place.Valid(l.Value) {
			return fmt.Errorf("%q as a place: want one line of printable UTF-8 of at most %d bytes", l.Value, place.MaxValue)
		}
	}
	if len(o.Attach) > MaxAttached {
		return fmt.Errorf("%d attached files: a core has at most %d", len(o.Attach), MaxAttached)
	}
	return nil
}

// attachRoom returns how much of the budget is reserved for attached files: it
// is known how many there are, but not how large.
func (o *Options) attachRoom() uint64 {
	const share = 4 // of the budget
	return min(uint64(len(o.Attach))*(maxAttachedFile+1<<10)+o.Request.FileRoom, o.Budget/share)
}

// readFiles reads the files to attach. The core records which could not be read.
func (j *job) readFiles() {
	var missing []string
	for _, path := range j.opts.Attach {
		file, err := attached(path)
		if err != nil {
			j.problems.Missing("attached file", err)
			missing = append(missing, err.Error())
			continue
		}
		if file.Size > uint64(len(file.Data)) {
			j.problems.Mention("attached file", fmt.Sprintf("%s: only the first %d of %d bytes are stored", path, len(file.Data), file.Size), "")
		}
		j.files = append(j.files, file)
	}
	if len(missing) > 0 {
		j.record = j.record.With(note.Pair{Key: "not attached", Value: strings.Join(missing, "; ")})
	}
}

// addFiles stores the files in the core if the budget has room for them.
func (j *job) addFiles(core *build.Core) {
	for i := range j.files {
		extra := j.files[i].Extra()
		if !addExtra(core, j.opts.Budget, extra.Name, extra.Data) {
			core.Problems.Missing("attached file", fmt.Errorf("%s: no room in the core; raise --budget", j.files[i].Path))
		}
	}
}

// attached reads a file that the user names.
func attached(path string) (note.AttachedFile, error) {
	f, err := plainfile.OpenLink(path)
	if err != nil {
		return note.AttachedFile{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return note.AttachedFile{}, err
	}
	data := make([]byte, maxAttachedFile)
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return note.AttachedFile{}, err
	}
	// Files of /proc have no size.
	return note.AttachedFile{Path: path, Size: max(uint64(info.Size()), uint64(n)), Data: data[:n]}, nil
}
