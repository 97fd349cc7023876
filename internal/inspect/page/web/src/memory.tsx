import { useMemo } from 'preact/hooks'
import { Heap } from './heap'
import { Badge, Table } from './list'
import type { State } from './main'
import { bytes, count, type Segment } from './model'

const FIRST_REGIONS = 3 // of a segment, in its row: the table of regions has all

export function Memory(state: State) {
  const { core, doc, go, changed } = state
  const regionsChanged = useMemo(() => regionsOf(changed.keys(), new Set(core.regions.map((r) => r.name))), [core, changed])
  const captured = core.memory.reduce((n, s) => n + s.captured, 0)
  return (
    <>
      <p>{count(core.memory.length, 'segment')}; {bytes(captured)} of the program's memory are in the core.</p>
      <Map segments={core.memory} />
      <h2>Segments</h2>
      <Table label="Segments" rows={core.memory} columns={[
        { name: 'Address', width: '10rem', cell: (s) => <code>{s.start}</code> },
        { name: 'Size', width: '6rem', cell: (s) => bytes(s.size) },
        { name: 'Captured', width: '6rem', cell: (s) => bytes(s.captured) },
        { name: 'Access', width: '6rem', cell: (s) => (s.w ? 'read, write' : 'read') },
        { name: 'Regions', width: 'minmax(8rem, 1fr)', cell: (s) => <>{s.regions?.slice(0, FIRST_REGIONS).map((r) => <button class="link" onClick={() => go('Values', r)}>{r}</button>)}{s.regions && s.regions.length > FIRST_REGIONS && `and ${s.regions.length - FIRST_REGIONS} more`}</> },
      ]} />
      <h2>Regions</h2>
      <Table label="Regions" rows={core.regions} tone={(r) => (r.status === 'complete' ? '' : 'warn')} columns={[
        { name: 'Region', width: 'minmax(9rem, 1fr)', cell: (r) => <><button class="link" onClick={() => go('Values', r.name)}>{r.name}</button>{regionsChanged.has(r.name) && <Badge text="changed" />}</> },
        { name: 'Address', width: '10rem', cell: (r) => <code>{r.address}</code> },
        { name: 'Size', width: '6rem', cell: (r) => bytes(Number(r.size)) },
        { name: 'Status', width: 'minmax(8rem, 1fr)', cell: (r) => [r.status, r.reasons?.join(', ')].filter(Boolean).join(': ') },
        { name: 'Type', width: 'minmax(8rem, 1fr)', cell: (r) => <code>{doc.strings[r.value.t]}</code> },
      ]} />
      {core.heap && <Heap {...state} heap={core.heap} />}
    </>
  )
}

/** regionsOf returns the regions to which paths belong. */
function regionsOf(paths: Iterable<string>, names: Set<string>): Set<string> {
  const found = new Set<string>()
  for (const path of paths) {
    for (let end = 0; end <= path.length; end++) {
      if (end < path.length && path[end] !== '.' && path[end] !== '[') continue
      const name = path.slice(0, end)
      if (names.has(name)) found.add(name)
    }
  }
  return found
}

const MAX_BARS = 1500 // as many as a wide screen has columns

/** joined joins neighbours if there are more segments than the map has room for. */
function joined(segments: Segment[]): { size: number; captured: number; torn?: number }[] {
  const each = Math.ceil(segments.length / MAX_BARS)
  if (each <= 1) return segments
  const bars = []
  for (let i = 0; i < segments.length; i += each) {
    const bar = { size: 0, captured: 0, torn: 0 }
    for (const s of segments.slice(i, i + each)) {
      bar.size += s.size
      bar.captured += s.captured
      bar.torn += s.torn ?? 0
    }
    bars.push(bar)
  }
  return bars
}

/**
 * Map draws segments in the order of addresses. A large segment is wider than a small one, by the
 * logarithm of its size: the sizes differ by many orders of magnitude. The bars are one path each
 * for what is whole and what is torn, since a core may have a thousand segments.
 */
function Map({ segments }: { segments: Segment[] }) {
  const { whole, torn, width } = useMemo(() => {
    const bars = { whole: '', torn: '', width: 0 }
    for (const s of joined(segments)) {
      const w = Math.log2(s.size + 2)
      const h = s.size > 0 ? Math.min(1, s.captured / s.size) * 100 : 0
      if (h > 0) bars[s.torn ? 'torn' : 'whole'] += `M${bars.width.toFixed(2)} 100v${(-h).toFixed(2)}h${(w * 0.92).toFixed(2)}V100z`
      bars.width += w
    }
    return bars
  }, [segments])
  return (
    <svg class="map" viewBox={`0 0 ${width || 1} 100`} preserveAspectRatio="none" role="img"
      aria-label="Segments in the order of addresses: the dark part of each was captured. The table below has the same facts.">
      <path d={whole} /><path class="torn" d={torn} />
    </svg>
  )
}
