//go:build linux && (amd64 || arm64)

package coreimage

import (
	"github.com/meminspect/meminspect/runtime/internal/liveimage"
	"github.com/meminspect/meminspect/runtime/internal/registry"
)

// A Live is a core image that is kept up to date in memory: a head (ELF header,
// program headers, the block that marks what is not captured, notes), the note
// of vmcoreinfo, and the regions. An agent that does not know ELF copies the
// memory of Places, in order, into files. Their concatenation is a core.
//
// A file's size is that of its memory rounded up to 4, padded with zeros.
// Memory that an earlier region covers has no second segment. The result of one
// call of Places describes a valid core until the second change after it.
type Live struct{ image *liveimage.Image }

// NewLive makes an image for at most regions regions, and keeps it up to date
// until Close. The image contains the caller's registers. If NewLive returns a
// Live and an error, the error joins the refused current regions, each with
// [ErrFull] or [ErrWeak]. With any other error the Live is nil.
func NewLive(regions int) (*Live, error) {
	if registry.Off {
		return nil, ErrUnsupported
	}
	image, err := liveimage.New(regions)
	if err != nil {
		return nil, err
	}
	return &Live{image}, registry.Attach(image)
}

// Places returns the memory for an agent to copy, in order: the head,
// vmcoreinfo, and the regions.
func (l *Live) Places() []Place {
	if registry.Off {
		return nil
	}
	var out []Place
	for _, p := range l.image.Places() {
		out = append(out, Place(p))
	}
	return out
}

// Close stops keeping the image up to date.
func (l *Live) Close() error {
	if registry.Off {
		return nil
	}
	return registry.Detach(l.image)
}
