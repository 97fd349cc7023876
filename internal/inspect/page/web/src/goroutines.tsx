import { hierarchy, partition } from 'd3-hierarchy'
import { useMemo, useState } from 'preact/hooks'
import { Badge, Search, Table } from './list'
import type { State } from './main'
import { count, duration, ownFrame, short, type Core, type Goroutine } from './model'

const KINDS = ['By stack', 'By wait object', 'By creator'] as const

/** A Class is the goroutines that are in the same bars. */
interface Class { steps: string[]; goroutines: Goroutine[] }

interface Bar {
  name: string
  n: number // goroutines
  classes: Set<Class>
  below: Map<string, Bar>
}

/** classesOf divides goroutines by what the bars of a kind show. */
function classesOf(core: Core, strings: string[], list: Goroutine[], kind: (typeof KINDS)[number]): Class[] {
  const objects = new Map<string, string>()
  if (kind === 'By wait object') {
    for (const o of core.waits) for (const w of o.waiters) objects.set(w.id, objects.has(w.id) ? 'several objects' : o.path ? o.path + ' (' + o.kind + ')' : o.kind)
  }
  const first = (g: Goroutine): string | null => {
    if (kind === 'By stack') return null
    if (kind === 'By wait object') return objects.get(g.id) ?? 'waits for no object'
    return g.c < 0 ? 'creator not known' : short(strings[core.frames[g.c][0]])
  }
  const classes = new Map<string, Class>()
  for (const g of list) {
    const prefix = first(g)
    const key = g.g + ' ' + (prefix ?? '')
    let c = classes.get(key)
    if (!c) {
      const stack = core.stacks[core.groups[g.g].k].map((f) => short(strings[core.frames[f][0]])).reverse()
      classes.set(key, (c = { steps: prefix === null ? stack : [prefix, ...stack], goroutines: [] }))
    }
    c.goroutines.push(g)
  }
  return [...classes.values()]
}

/** barsOf adds classes up in a tree. */
function barsOf(classes: Class[]): Bar {
  const bar = (name: string): Bar => ({ name, n: 0, classes: new Set(), below: new Map() })
  const add = (b: Bar, c: Class) => {
    b.n += c.goroutines.length
    b.classes.add(c)
  }
  const root = bar('All goroutines')
  for (const c of classes) {
    let at = root
    add(at, c)
    for (const step of c.steps) {
      let next = at.below.get(step)
      if (!next) at.below.set(step, (next = bar(step)))
      add(next, c)
      at = next
    }
  }
  return root
}

export function Goroutines(state: State) {
  const { core, doc, target, before } = state
  const [by, setBy] = useState<(typeof KINDS)[number]>('By stack')
  const [system, setSystem] = useState(false)
  const [chosen, choose] = useState<Bar | null>(null)
  const [query, setQuery] = useState('')
  const [open, setOpen] = useState<string>(target)
  const list = useMemo(() => core.goroutines.filter((g) => system || !core.groups[g.g].y), [core, system])
  const classes = useMemo(() => classesOf(core, doc.strings, list, by), [list, by])
  const root = useMemo(() => barsOf(classes), [classes])
  const rows = useMemo(() => {
    const text = query.toLowerCase()
    const chosenRows = chosen ? [...chosen.classes].flatMap((c) => c.goroutines) : list
    if (!text) return chosenRows
    const matches = core.stacks.map((stack) => stack.some((f) => doc.strings[core.frames[f][0]].toLowerCase().includes(text)))
    return chosenRows.filter((g) => g.id === text || matches[g.k] || doc.strings[g.s].toLowerCase().includes(text) || g.l?.toLowerCase().includes(text))
  }, [list, chosen, query])
  const known = useMemo(() => before && new Map(before.goroutines.map((g) => [g.id, doc.strings[g.s]])), [before])
  const change = (g: Goroutine) => !known ? '' : !known.has(g.id) ? 'new' : known.get(g.id) !== doc.strings[g.s] ? 'was ' + known.get(g.id) : ''
  const shown = useMemo(() => core.goroutines.find((g) => g.id === open), [open])
  const path = useMemo(() => {
    const keys = new Set<string>()
    let key = ''
    for (const step of classes.find((c) => shown && c.goroutines.includes(shown))?.steps ?? []) keys.add((key += '\n' + step))
    return keys
  }, [shown, classes])
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
      <Icicle root={root} chosen={chosen} choose={choose} path={path} />
      <p aria-live="polite">{count(rows.length, 'goroutine')}{chosen && <> in <code>{chosen.name}</code></>}</p>
      <Table label="Goroutines" rows={rows} marked={(g) => g.id === open} tone={(g) => (g.f ? 'bad' : '')} columns={[
        { name: 'Goroutine', width: '7rem', cell: (g) => <button class="link" aria-pressed={g.id === open} onClick={() => setOpen(g.id)}>{g.id}{g.f && ' (failed)'}</button> },
        { name: 'State', width: 'minmax(7rem, 1fr)', cell: (g) => <>{doc.strings[g.s]}{change(g) && <Badge text={change(g)} />}</> },
        { name: 'Waits', width: '6rem', cell: (g) => (g.w ? duration(g.w) : '') },
        { name: 'Function', width: 'minmax(9rem, 2fr)', cell: (g) => { const f = ownFrame(core, core.groups[g.g]); return f === undefined ? '' : <code>{short(doc.strings[core.frames[f][0]])}</code> } },
      ]} />
      {shown && <Stack {...state} goroutine={shown} />}
    </>
  )
}

/** Icicle draws a tree of goroutines: the width of a bar is the number of goroutines. */
function Icicle(props: { root: Bar; chosen: Bar | null; choose: (b: Bar | null) => void; path: Set<string> }) {
  const { nodes, hidden } = useMemo(() => {
    const tree = hierarchy<Bar>(props.root, (b) => [...b.below.values()])
    // The bars below have all goroutines of the one above, or fewer.
    tree.each((n) => { (n as { value?: number }).value = n.data.n })
    tree.sort((a, b) => b.value! - a.value!)
    const least = 0.002 // of the width: narrower bars cannot be seen
    const all = partition<Bar>()(tree).descendants()
    const nodes = all.filter((n) => n.x1 - n.x0 >= least)
    return { nodes, hidden: all.length - nodes.length }
  }, [props.root])
  const depth = Math.max(...nodes.map((n) => n.depth)) + 1
  const all = props.root.n
  return (
    <>
    <div class="icicle" role="group" aria-label="Goroutines by their stacks: the width of a bar is the number of goroutines" tabIndex={0}>
      <div style={{ position: 'relative', height: depth * 1.6 + 'rem' }}>
        {nodes.map((n) => {
          const key = n.ancestors().reverse().slice(1).map((a) => '\n' + a.data.name).join('')
          const label = n.data.name + ', ' + count(n.data.n, 'goroutine')
          return (
            <button key={key} title={label} aria-label={label} aria-pressed={props.chosen === n.data}
              class={'bar tone' + (hash(n.data.name) % 6) + (props.path.has(key) ? ' path' : '')}
              style={{ left: n.x0 * 100 + '%', width: ((n.x1 - n.x0) * 100) + '%', top: n.depth * 1.6 + 'rem' }}
              onClick={() => props.choose(n.depth === 0 ? null : n.data)}>
              {n.x1 - n.x0 > 0.03 ? n.data.name + (n.data.n < all || n.depth === 0 ? ' (' + n.data.n + ')' : '') : ''}
            </button>
          )
        })}
      </div>
    </div>
    {hidden > 0 && <p>{count(hidden, 'bar')} of less than 0.2 % of the goroutines {hidden === 1 ? 'is' : 'are'} too narrow to draw. The table has their goroutines.</p>}
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
  return (
    <section aria-labelledby="stack">
      <h2 id="stack">Goroutine {g.id}: {doc.strings[g.s]}{g.w ? ', for ' + duration(g.w) : ''}</h2>
      {object && <p>Waits for <button class="link" onClick={() => go('Values', object.path!)}>{object.path}</button></p>}
      <ol class="calls">
        {core.stacks[g.k].map((f) => {
          const [fn, file, line] = core.frames[f]
          return <li><code>{doc.strings[fn]}</code> <span class="dim">{doc.strings[file]}:{line}</span></li>
        })}
      </ol>
      {g.x && <p>{g.x}</p>}
      {g.c >= 0 && <p>Created by <code>{doc.strings[core.frames[g.c][0]]}</code> <span class="dim">{doc.strings[core.frames[g.c][1]]}:{core.frames[g.c][2]}</span>{g.p && <> in goroutine {g.p}</>}</p>}
      {g.l && <p>Labels: <code>{g.l}</code></p>}
    </section>
  )
}
