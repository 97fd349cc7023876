package note

import "strings"

// An AttachedFile is a file that a capture stores on request, as an [Extra]
// note: its name is ExtraFile and the path, its data the file's size as uint64
// and the content.
type AttachedFile struct {
	Path string
	Size uint64 // of the file, of which Data may be the beginning
	Data []byte
}

// Extra returns the note.
func (f *AttachedFile) Extra() Extra {
	return Extra{Name: ExtraFile + f.Path, Data: append(le.AppendUint64(nil, f.Size), f.Data...)}
}

// Attached returns the attached file that the note contains. It reports false
// if the note contains something else.
func (x *Extra) Attached() (AttachedFile, bool) {
	path, ok := strings.CutPrefix(x.Name, ExtraFile)
	if !ok || len(x.Data) < 8 {
		return AttachedFile{}, false
	}
	return AttachedFile{Path: path, Size: le.Uint64(x.Data), Data: x.Data[8:]}, true
}
