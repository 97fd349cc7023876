import { hierarchy, partition } from 'd3-hierarchy'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { After, Badge, Search, Table } from './list'
import type { State } from './main'
import { count, duration, ownFrame, short, type Core, type Goroutine } from './model'

const KINDS = ['By stack', 'By wait object', 'By creator'] as const

/** A Class is the goroutines that are in the same bars. */
interface Class { prefix: string | null; stack: number[]; goroutines: Goroutine[] }

/** A Bar is the goroutines whose first steps are the same. */
class Bar {
  readonly key: string // the names of the bars above and of this one, but for the root's
  readonly classes: Class[] = []
  n = 0 // goroutines
  private parts?: Bar[]

  constructor(readonly name: string, readonly above: Bar | null, private names: string[], private depth: number) {
    this.key = above ? above.key + '\n' + name : ''
  }

  add(c: Class) {
    this.classes.push(c)
    this.n += c.goroutines.length
  }

  /** below divides the bar by the step that follows. Most bars are too narrow to be divided. */
  get below(): Bar[] {
    if (this.parts) return this.parts
    const parts = new Map<string, Bar>()
    for (const c of this.classes) {
      const step = stepOf(c, this.depth, this.names)
      if (step === undefined) continue
      let part = parts.get(step)
      if (!part) parts.set(step, (part = new Bar(step, this, this.names, this.depth + 1)))
      part.add(c)
    }
    return (this.parts = [...parts.values()])
  }
}

/** stepOf returns the name of a class's bar at a depth: its prefix, or a function, the outermost first. */
function stepOf(c: Pick<Class, 'prefix' | 'stack'>, depth: number, names: string[]): string | undefined {
  if (c.prefix !== null && depth-- === 0) return c.prefix
  return names[c.stack[c.stack.length - 1 - depth]]
}

/** prefixesOf returns the function that names the first bar of a goroutine, null for that of its stack. */
function prefixesOf(core: Core, names: string[], kind: (typeof KINDS)[number]): (g: Goroutine) => string | null {
  if (kind === 'By stack') return () => null
  if (kind === 'By creator') return (g) => (g.c < 0 ? 'creator not known' : names[g.c])
  const objects = new Map<string, string>()
  for (const o of core.waits) for (const w of o.waiters) objects.set(w.id, objects.has(w.id) ? 'several objects' : o.path ? o.path + ' (' + o.kind + ')' : o.kind)
  return (g) => objects.get(g.id) ?? 'waits for no object'
}

/** rootOf returns the bar of all goroutines. */
function rootOf(core: Core, names: string[], list: Goroutine[], prefix: (g: Goroutine) => string | null): Bar {
  const classes = new Map<string, Class>()
  for (const g of list) {
    const first = prefix(g)
    const key = first === null ? String(g.g) : g.g + ' ' + first
    let c = classes.get(key)
    if (!c) classes.set(key, (c = { prefix: first, stack: core.stacks[core.groups[g.g].k].f, goroutines: [] }))
    c.goroutines.push(g)
  }
  const root = new Bar('All goroutines', null, names, 0)
  for (const c of classes.values()) root.add(c)
  return root
}

export function Goroutines(state: State) {
  const { core, doc, target, before, go } = state
  const [by, setBy] = useState<(typeof KINDS)[number]>('By stack')
  const shown = useMemo(() => core.goroutines.find((g) => g.id === target), [core, target])
  const [system, setSystem] = useState(() => shown !== undefined && core.groups[shown.g].y === true)
  const [chosen, choose] = useState<Bar | null>(null)
  const [query, setQuery] = useState('')
  const list = useMemo(() => core.goroutines.filter((g) => system || !core.groups[g.g].y), [core, system])
  const names = useMemo(() => core.frames.map((f) => doc.strings[f[0]]), [core])
  const prefix = useMemo(() => prefixesOf(core, names, by), [core, by])
  const root = useMemo(() => rootOf(core, names, list, prefix), [list, prefix])
  const rows = useMemo(() => {
    const text = query.toLowerCase()
    const chosenRows = chosen ? chosen.classes.flatMap((c) => c.goroutines) : list
    if (!text) return chosenRows
    const inFrame = core.frames.map(([fn, file]) => doc.strings[fn].toLowerCase().includes(text) || doc.strings[file].toLowerCase().includes(text))
    const matches = core.stacks.map((stack) => stack.f.some((f) => inFrame[f]))
    return chosenRows.filter((g) => g.id === text || matches[g.k] || doc.strings[g.s].toLowerCase().includes(text) || g.l?.toLowerCase().includes(text))
  }, [list, chosen, query])
  const known = useMemo(() => before && new Map(before.goroutines.map((g) => [g.id, doc.strings[g.s]])), [before])
  const change = (g: Goroutine) => !known ? '' : !known.has(g.id) ? 'new' : known.get(g.id) !== doc.strings[g.s] ? 'was ' + known.get(g.id) : ''
  const path = useMemo(() => {
    const keys = new Set<string>()
    if (!shown) return keys
    const c = { prefix: prefix(shown), stack: core.stacks[core.groups[shown.g].k].f }
    let key = ''
    for (let depth = 0, step; (step = stepOf(c, depth, names)) !== undefined; depth++) keys.add((key += '\n' + step))
    return keys
  }, [shown, prefix])
  if (core.goroutines.length === 0) return <p>The core has no goroutines.</p>
  return (
    <>
      <div class="tools">
        <label>Group <select value={by} onChange={(e) => { choose(null); setBy(e.currentTarget.value as typeof by) }}>
          {KINDS.map((b) => <option>{b}</option>)}
        </select></label>
        <label><input type="checkbox" checked={system} onChange={(e) => { choose(null); setSystem(e.currentTarget.checked) }} /> Goroutines of the runtime</label>
        <Search label="Search" value={query} set={setQuery} />
        {chosen && <button onClick={() => choose(null)}>Show all goroutines</button>}
      </div>
      <Icicle by={by} root={root} chosen={chosen} choose={choose} path={path} />
      {target && !shown && <p role="note">Goroutine {target} is not in this core.</p>}
      <p aria-live="polite">{count(rows.length, 'goroutine')}{chosen && <> in <code>{chosen.name}</code></>}</p>
      <div class="halves">
      <Table label="Goroutines" rows={rows} marked={shown} tone={(g) => (g.f ? 'bad' : '')} columns={[
        { name: 'Goroutine', width: '7rem', cell: (g) => <button class="link" aria-pressed={g.id === target} onClick={() => go('Goroutines', g.id)}>{g.id}{g.f && ' (failed)'}</button> },
        { name: 'Function', width: 'minmax(9rem, 2fr)', cell: (g) => { const f = ownFrame(core, core.groups[g.g]); return f === undefined ? '' : <code>{short(doc.strings[core.frames[f][0]])}</code> } },
        { name: 'State', width: 'minmax(7rem, 1fr)', cell: (g) => <>{doc.strings[g.s]}{change(g) && <Badge text={change(g)} />}</> },
        { name: 'Waits', width: '6rem', cell: (g) => (g.w ? duration(g.w) : '') },
      ]} />
      {shown && <Stack {...state} goroutine={shown} />}
      </div>
    </>
  )
}

const LEAST = 0.004 // of the width: narrower bars can hardly be seen or clicked
const MAX_BARS = 1500 // that a browser draws at once

/** drawable returns the bars below a bar that there is room for, and how many goroutines have others. */
function drawable(top: Bar): { drawn: Set<Bar>; hidden: number } {
  const drawn = new Set([top])
  let hidden = 0
  for (let level = [top]; level.length > 0;) {
    const next = level.flatMap((b) => b.below)
    const wide = next.filter((b) => b.n >= LEAST * top.n)
    const room = drawn.size + wide.length <= MAX_BARS
    for (const b of next) if (!room || b.n < LEAST * top.n) hidden += b.n
    level = room ? wide : []
    for (const b of level) drawn.add(b)
  }
  return { drawn, hidden }
}

/**
 * Icicle draws a tree of goroutines: the width of a bar is the number of goroutines. The chosen
 * bar has the whole width, and so have the bars above it.
 */
function Icicle({ by, ...props }: { by: (typeof KINDS)[number]; root: Bar; chosen: Bar | null; choose: (b: Bar | null) => void; path: Set<string> }) {
  const top = props.chosen ?? props.root
  const { nodes, hidden } = useMemo(() => {
    const { drawn, hidden } = drawable(top)
    const tree = hierarchy<Bar>(top, (b) => b.below.filter((below) => drawn.has(below)))
    // The bars below have all goroutines of the one above, or fewer.
    tree.each((n) => { (n as { value?: number }).value = n.data.n })
    tree.sort((a, b) => b.value! - a.value!)
    const above: { bar: Bar; x0: number; x1: number; depth: number }[] = []
    for (let b = top.above; b; b = b.above) above.unshift({ bar: b, x0: 0, x1: 1, depth: 0 })
    above.forEach((n, depth) => { n.depth = depth })
    const below = partition<Bar>()(tree).descendants().map((n) => ({ bar: n.data, x0: n.x0, x1: n.x1, depth: above.length + n.depth }))
    return { nodes: [...above, ...below], hidden }
  }, [top])
  const depth = Math.max(...nodes.map((n) => n.depth)) + 1
  return (
    <>
    <div class="icicle" role="group" aria-label="Goroutines by their stacks: the width of a bar is the number of goroutines" tabIndex={0}>
      <div style={{ position: 'relative', height: depth * 1.6 + 'rem' }}>
        {nodes.map(({ bar, x0, x1, depth }) => {
          const label = bar.name + ', ' + count(bar.n, 'goroutine')
          const text = by === 'By wait object' && bar.above && !bar.above.above ? bar.name : short(bar.name)
          return (
            <button key={bar.key} title={label} aria-label={label} aria-pressed={props.chosen === bar}
              class={'bar tone' + (hash(bar.name) % 6) + (props.path.has(bar.key) ? ' path' : '')}
              style={{ left: x0 * 100 + '%', width: (x1 - x0) * 100 + '%', top: depth * 1.6 + 'rem' }}
              onClick={() => props.choose(bar.above ? bar : null)}>
              {x1 - x0 > 0.03 ? text + (bar.n < props.root.n || !bar.above ? ' (' + bar.n + ')' : '') : ''}
            </button>
          )
        })}
      </div>
    </div>
    {hidden > 0 && <p>{count(hidden, 'goroutine')} {hidden === 1 ? 'has' : 'have'} bars that there is no room for: choose a bar above them to see them. The table has all.</p>}
    </>
  )
}

function hash(text: string): number {
  let h = 0
  for (let i = 0; i < text.length; i++) h = (h * 31 + text.charCodeAt(i)) >>> 0
  return h
}

function Stack({ core, doc, goroutine: g, go }: State & { goroutine: Goroutine }) {
  const object = core.waits.find((o) => o.path && o.waiters.some((w) => w.id === g.id))
  const section = useRef<HTMLElement>(null)
  useEffect(() => section.current!.scrollIntoView({ block: 'nearest' }), [g])
  return (
    <section aria-labelledby="stack" ref={section}>
      <h2 id="stack">Goroutine {g.id}: {doc.strings[g.s]}{g.w ? ', for ' + duration(g.w) : ''}</h2>
      {object && <p>Waits for <button class="link" onClick={() => go('Values', object.path!)}>{object.path}</button></p>}
      <ol class="calls">
        {core.stacks[g.k].f.map((f, i) => {
          const [fn, file, line] = core.frames[f]
          return <li><code>{doc.strings[fn]}</code> <span class="dim">{doc.strings[file]}:{line}</span><After texts={core.stacks[g.k].a?.[i]} /></li>
        })}
      </ol>
      {g.x && <p>{g.x}</p>}
      {g.c >= 0 && <p>Created by <code>{doc.strings[core.frames[g.c][0]]}</code> <span class="dim">{doc.strings[core.frames[g.c][1]]}:{core.frames[g.c][2]}</span>{g.p && <> in goroutine {g.p}</>}</p>}
      {g.l && <p>Labels: <code>{g.l}</code></p>}
    </section>
  )
}
