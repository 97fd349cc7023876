package meminspect

// Parts returns the region without what exclusions take from it.
func (r *Region) Parts() []Region { return []Region{*r} }
