import { hierarchy, treemap, treemapSquarify } from 'd3-hierarchy'
import { useMemo, useState } from 'preact/hooks'
import { Table } from './list'
import type { State } from './main'
import { bytes, count, type Heap as HeapData } from './model'

/** A Part is a part of the heap: bytes that only it keeps alive, and the parts below. */
interface Part { name: string; path: string; own: number; below: Map<string, Part> }

const HEIGHT = 60 // of the map, to 100 of width

/** partsOf builds the tree of what the roots and paths keep alive. */
function partsOf(heap: HeapData): Part {
  const part = (name: string, path: string, own = 0): Part => ({ name, path, own, below: new Map() })
  const all = part('All objects', '')
  for (const r of heap.roots) {
    if (r.retained === 0) continue
    const root = part(r.name, r.name)
    let left = r.retained // what is in no path of the report
    for (const p of r.paths ?? []) {
      const own = Math.min(p.exclusive, left)
      if (own === 0) continue // what others keep alive too has no area of its own
      left -= own
      let at = root
      for (const step of p.steps) {
        let next = at.below.get(step)
        if (!next) at.below.set(step, (next = part(step, at.path + step)))
        at = next
      }
      at.own += own
    }
    root.own += left
    all.below.set(r.name, root)
  }
  for (const [name, size] of [['several roots', heap.shared], ['garbage', heap.garbage], ['unknown', heap.unknown]] as const) {
    if (size > 0) all.below.set(' ' + name, part(name, name, size))
  }
  return all
}

/** Heap shows what keeps the program's memory alive. */
export function Heap({ heap, doc, go }: State & { heap: HeapData }) {
  const [zoom, setZoom] = useState<Part[]>([])
  const all = useMemo(() => partsOf(heap), [heap])
  const shown = zoom.at(-1) ?? all
  const nodes = useMemo(() => {
    const tree = hierarchy<Part>(shown, (p) => [...p.below.values()]).sum((p) => p.own).sort((a, b) => b.value! - a.value!)
    const least = 0.4 // of a percent of the map's sides: smaller parts cannot be seen
    return treemap<Part>().tile(treemapSquarify).size([100, HEIGHT]).paddingTop((n) => (n.depth > 0 && n.children ? 3.2 : 0)).paddingInner(0.15)(tree)
      .descendants().filter((n) => n.depth > 0 && n.depth <= 3 && n.x1 - n.x0 > least && n.y1 - n.y0 > least)
  }, [shown])
  const paths = useMemo(() => heap.roots.flatMap((r) => (r.paths ?? []).map((p) => ({ ...p, path: r.name + p.steps.join('') }))).sort((a, b) => b.retained - a.retained), [heap])
  return (
    <section aria-labelledby="heap">
      <h2 id="heap">What keeps memory alive</h2>
      <p>{bytes(heap.bytes)} in {count(heap.objects, 'object')}. The area of a root or a path is what only it keeps alive; what several roots keep alive is one area. Free in spans: {bytes(heap.free)}; stacks: {bytes(heap.stacks)}.</p>
      {heap.leaks && <>
        <p>These goroutines wait for ever: neither a variable nor a goroutine that may run leads to what they wait for.</p>
        <ul>{heap.leaks.map((l) => <li>{l.ids.length > 0 ? <button class="link" onClick={() => go('Goroutines', l.ids[0])}>{count(l.count, 'goroutine')}</button> : count(l.count, 'goroutine')} of <code>{l.function}</code>, {l.state}</li>)}</ul>
      </>}
      {heap.partial && <p class="warn">The time was over before the pointers were read: what keeps the memory alive is not known.</p>}
      {heap.problems?.map((p) => <p class="warn">{p}</p>)}
      <div class="tools">
        <button disabled={zoom.length === 0} onClick={() => setZoom(zoom.slice(0, -1))}>Back</button>
        <span aria-live="polite">{zoom.map((p) => p.name).join('') || all.name}</span>
      </div>
      <div class="treemap" role="group" aria-label="Map of what keeps memory alive" style={{ aspectRatio: '100 / ' + HEIGHT }}>
        {nodes.map((n) => {
          const label = (n.data.path || n.data.name) + ', ' + bytes(n.value!)
          return (
            <button key={n.data.path} title={label} aria-label={label} class={'part tone' + (n.depth % 6)} disabled={n.data.below.size === 0}
              style={{ left: n.x0 + '%', top: (n.y0 / HEIGHT) * 100 + '%', width: n.x1 - n.x0 + '%', height: ((n.y1 - n.y0) / HEIGHT) * 100 + '%' }}
              onClick={() => setZoom([...zoom, ...n.ancestors().reverse().slice(1).map((a) => a.data)])}>
              {n.x1 - n.x0 > 4 && n.y1 - n.y0 > 3 ? n.data.name + ' ' + bytes(n.value!) : ''}
            </button>
          )
        })}
      </div>
      <h3>Roots</h3>
      <Table label="Roots" rows={heap.roots} columns={[
        { name: 'Root', width: 'minmax(9rem, 1fr)', cell: (r) => <code>{r.name}</code> },
        { name: 'Retained', width: '7rem', cell: (r) => bytes(r.retained) },
        { name: 'Of all', width: '5rem', cell: (r) => (heap.bytes ? ((100 * r.retained) / heap.bytes).toFixed(1) + ' %' : '') },
        { name: 'Retained objects', width: '10rem', cell: (r) => r.objects.toLocaleString('en') },
      ]} />
      {paths.length > 0 && <>
        <h3>Paths</h3>
        <Table label="Paths" rows={paths} columns={[
          { name: 'Path', width: 'minmax(9rem, 1fr)', cell: (p) => <code>{p.path}</code> },
          { name: 'Retained', width: '7rem', cell: (p) => bytes(p.retained) },
          { name: 'Objects', width: '7rem', cell: (p) => p.objects.toLocaleString('en') },
          { name: 'Type', width: 'minmax(7rem, 1fr)', cell: (p) => <code class="dim">{doc.strings[p.type]}</code> },
        ]} />
      </>}
    </section>
  )
}
