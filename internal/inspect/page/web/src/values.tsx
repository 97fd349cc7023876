import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Badge, Search, useRows } from './list'
import type { State } from './main'
import { count, type Core, type Region, type ValueNode } from './model'

const MAX_HITS = 5000

interface Row { node: ValueNode; path: string; depth: number; region: Region; parent: number }

/** childrenOf returns the values below one of a value's children: a pointer's target is in its place. */
function childrenOf(node: ValueNode): ValueNode[] {
  while (node.c?.length === 1 && !node.c[0].n) node = node.c[0]
  return node.c ?? []
}

/** leaf returns the value at the end of pointers and interfaces. */
function leaf(node: ValueNode): ValueNode {
  while (node.c?.length === 1 && !node.c[0].n) node = node.c[0]
  return node
}

/** line returns the nodes from a value to what it refers to, through pointers and interfaces. */
function line(node: ValueNode): ValueNode[] {
  const all = [node]
  while (node.c?.length === 1 && !node.c[0].n) all.push((node = node.c[0]))
  return all
}

/** notesOf returns what there is to say of a value and of what leads to it. */
function notesOf(node: ValueNode): string {
  return line(node).map((n) => n.o).filter(Boolean).join('; ')
}

/** typeOf returns the type of a value, and that of the value in an interface. */
function typeOf(node: ValueNode, strings: string[]): string {
  return line(node).map((n) => strings[n.t]).filter((t, i, all) => t && (i === 0 || all[i - 1] !== '*' + t)).join(' with ')
}

/** flat returns the visible rows. */
function flat(core: Core, open: Set<ValueNode>): Row[] {
  const rows: Row[] = []
  const add = (node: ValueNode, path: string, depth: number, region: Region, parent: number) => {
    const at = rows.push({ node, path, depth, region, parent }) - 1
    if (open.has(node)) for (const c of childrenOf(node)) add(c, path + (c.n ?? ''), depth + 1, region, at)
  }
  for (const r of core.regions) add(r.value, r.name, 1, r, -1)
  return rows
}

/** search returns the values whose path, text or type has a text in it. */
function search(core: Core, strings: string[], text: string): { rows: Row[]; more: boolean } {
  const rows: Row[] = []
  const wanted = text.toLowerCase()
  const types = strings.map((s) => s.toLowerCase().includes(wanted))
  const whole = /.[.[]/.test(wanted) // a path of more than one step
  let more = false
  const visit = (node: ValueNode, path: string, region: Region) => {
    if (rows.length >= MAX_HITS) {
      more = true
      return
    }
    const end = leaf(node)
    if ((whole ? path : node.n ?? region.name).toLowerCase().includes(wanted) || end.v?.toLowerCase().includes(wanted) || end.m?.toLowerCase().includes(wanted) || line(node).some((n) => types[n.t] || n.o?.toLowerCase().includes(wanted))) rows.push({ node, path, depth: 1, region, parent: -1 })
    for (const c of childrenOf(node)) visit(c, path + (c.n ?? ''), region)
  }
  for (const r of core.regions) visit(r.value, r.name, r)
  return { rows, more }
}

/** chain returns the nodes from a region to the value for which found is true, none if there is no such value. */
function chain(region: Region, found: (node: ValueNode) => boolean): ValueNode[] {
  const nodes: ValueNode[] = []
  const visit = (node: ValueNode): boolean => {
    nodes.push(node)
    for (let n = node; ; n = n.c![0]) {
      if (found(n)) return true
      if (n.c?.length !== 1 || n.c[0].n) break
    }
    if (childrenOf(node).some(visit)) return true
    nodes.pop()
    return false
  }
  visit(region.value)
  return nodes
}

/** within reports whether a path is another one or leads to a part of it. */
function within(path: string, whole: string): boolean {
  return path === whole || (path.startsWith(whole) && (path[whole.length] === '.' || path[whole.length] === '['))
}

/** way returns the nodes that lead to a path, as far as they are on the page. */
function way(core: Core, target: string): { nodes: ValueNode[]; path: string } | null {
  const region = core.regions.filter((r) => within(target, r.name)).sort((a, b) => b.name.length - a.name.length)[0]
  if (!region) return null
  let path = region.name
  const nodes = [region.value]
  for (;;) {
    const next = childrenOf(nodes[nodes.length - 1]).find((c) => c.n && within(target, path + c.n))
    if (!next) return { nodes, path }
    nodes.push(next)
    path += next.n
  }
}

const REST = 200 // milliseconds until the URL names the value that is shown

export function Values({ core, doc, target, changed, mark }: State) {
  const [open, setOpen] = useState<Set<ValueNode>>(new Set())
  const [query, setQuery] = useState('')
  const [at, setAt] = useState(0)
  const [copied, setCopied] = useState('')
  const [lost, setLost] = useState({ path: '', near: '' }) // what a link names and the page does not have, and what is shown instead
  const found = useMemo(() => (query ? search(core, doc.strings, query) : null), [core, query])
  const rows = useMemo(() => found?.rows ?? flat(core, open), [core, open, found])
  const { element, rows: visible } = useRows(rows.length, at)
  const above = useMemo(() => { // paths below which something changed
    const all = new Set<string>()
    for (const path of changed.keys()) for (let end = 1; end < path.length; end++) if (path[end] === '.' || path[end] === '[') all.add(path.slice(0, end))
    return all
  }, [changed])
  const wanted = useRef<ValueNode | null>(null)

  /** show opens what is above a value and moves to it. */
  const show = (nodes: ValueNode[]) => {
    if (nodes.length === 0) return
    setQuery('')
    setOpen(new Set([...open, ...nodes.slice(0, -1)]))
    wanted.current = nodes[nodes.length - 1]
  }
  useEffect(() => {
    if (!target || target === rows[at]?.path) return
    const found = way(core, target)
    setLost(found?.path === target ? { path: '', near: '' } : { path: target, near: found?.path ?? rows[at]?.path })
    if (found) show(found.nodes)
  }, [target, core])
  useEffect(() => {
    if (!wanted.current) return
    const index = rows.findIndex((r) => r.node === wanted.current)
    if (index < 0) return // what is above it is not open yet
    wanted.current = null
    move(index)
  }, [rows])

  const move = (index: number) => {
    index = Math.max(0, Math.min(rows.length - 1, index))
    setAt(index)
    visible.scrollToIndex(index)
    element.current?.focus()
  }
  const toggle = (row: Row, opened: boolean) => {
    const next = new Set(open)
    opened ? next.add(row.node) : next.delete(row.node)
    setOpen(next)
  }
  const follow = (row: Row) => {
    const end = leaf(row.node)
    if (!end.r) return
    const way = chain(row.region, (n) => n.a === end.r)
    show(way)
    if (way.length === 0) setLost({ path: end.r, near: row.path })
  }
  const keys = (e: KeyboardEvent) => {
    const row = rows[at]
    if (!row || e.target !== element.current || e.altKey || e.ctrlKey || e.metaKey) return
    const isOpen = !found && open.has(row.node)
    const actions: Record<string, () => void> = {
      ArrowDown: () => move(at + 1), ArrowUp: () => move(at - 1), Home: () => move(0), End: () => move(rows.length - 1),
      PageDown: () => move(at + 15), PageUp: () => move(at - 15),
      ArrowRight: () => (isOpen ? move(at + 1) : childrenOf(row.node).length > 0 && toggle(row, true)),
      ArrowLeft: () => (isOpen ? toggle(row, false) : row.parent >= 0 && move(row.parent)),
      Enter: () => (found ? show(chain(row.region, (n) => n === row.node)) : leaf(row.node).r ? follow(row) : toggle(row, !isOpen)),
    }
    if (actions[e.key]) {
      e.preventDefault()
      actions[e.key]()
    }
  }
  const copy = async (path: string) => {
    try {
      await navigator.clipboard.writeText(path)
      setCopied('Copied ' + path)
    } catch {
      setCopied('The browser does not allow copying: select the path and copy it')
    }
  }
  const row = rows[at]
  useEffect(() => {
    if (!row || row.path === target || wanted.current || (!target && at === 0)) return
    const rest = setTimeout(() => mark(row.path), REST) // browsers allow few changes of the URL in a row
    return () => clearTimeout(rest)
  }, [row?.path])
  if (core.regions.length === 0) return <p>The core has no regions.</p>
  return (
    <>
      <div class="tools">
        <Search label="Search names, values, types" value={query} set={(text) => { setQuery(text); setAt(0) }} />
        <button onClick={() => { setQuery(''); setOpen(new Set()); setAt(0) }}>Close all</button>
        {found && <span aria-live="polite">{found.more ? 'more than ' : ''}{count(found.rows.length, 'value')}</span>}
      </div>
      {lost.path && lost.near === row?.path && <p role="note"><code>{lost.path}</code> is not on this page.</p>}
      <div class="tree scroll" role="tree" aria-label="Values" tabIndex={0} ref={element} onKeyDown={keys} aria-activedescendant={row && visible.getVirtualItems().some((i) => i.index === at) ? 'value' + at : undefined}>
        <div role="presentation" style={{ height: visible.getTotalSize() + 'px', position: 'relative' }}>
          {visible.getVirtualItems().map((item) => {
            const r = rows[item.index]
            const end = leaf(r.node)
            const below = !found && childrenOf(r.node).length > 0
            return (
              <div id={'value' + item.index} key={item.index} role="treeitem" aria-level={r.depth} aria-selected={item.index === at} aria-expanded={below ? open.has(r.node) : undefined}
                class={'value' + (item.index === at ? ' marked' : '') + (end.m || (r.depth === 1 && !found && r.region.status !== 'complete') ? ' missing' : '')}
                style={{ position: 'absolute', top: item.start + 'px', height: item.size + 'px', paddingLeft: (found ? 0.5 : r.depth * 1.1 - 0.6) + 'rem' }}
                onClick={() => { setAt(item.index); if (found) show(chain(r.region, (n) => n === r.node)); else if (below) toggle(r, !open.has(r.node)) }}>
                <span class="twist" aria-hidden="true">{below ? (open.has(r.node) ? '▾' : '▸') : ''}</span>
                <code class="name">{found || r.depth === 1 ? r.path : r.node.n}</code>{' '}
                <Text node={end} />{' '}
                <span class="dim">{typeOf(r.node, doc.strings)}</span>
                {notesOf(r.node) && <em> {notesOf(r.node)}</em>}
                {r.depth === 1 && !found && r.region.status !== 'complete' && <em> {[r.region.status, r.region.reasons?.join(', ')].filter(Boolean).join(': ')}</em>}
                {(changed.get(r.path) || above.has(r.path)) && <Badge text={changed.get(r.path) ?? 'changed below'} />}
              </div>
            )
          })}
        </div>
      </div>
      <p class="printed">A printed page has the rows that were on the screen: there are {rows.length}.</p>
      {row && (
        <div class="tools details">
          <label>Path <input readOnly value={row.path} onFocus={(e) => e.currentTarget.select()} /></label>
          <button onClick={() => copy(row.path)}>Copy the path</button>
          {leaf(row.node).r && <button onClick={() => follow(row)}>Go to {leaf(row.node).r}</button>}
          <span role="status">{copied}</span>
        </div>
      )}
      {row && leaf(row.node).v && leaf(row.node).v!.length > 60 && <pre class="whole" tabIndex={0} role="region" aria-label="Whole value">{leaf(row.node).v}</pre>}
    </>
  )
}

function Text({ node }: { node: ValueNode }) {
  if (node.m) return <em>{node.m}</em>
  if (node.r) return <code>→ {node.r}</code>
  if (node.v !== undefined) return <code class="text">{node.v.length > 300 ? node.v.slice(0, 300) + '…' : node.v}</code>
  if (node.l !== undefined) return <span class="dim">{count(node.l, 'element')}</span>
  if (node.o && !node.c && node.l === undefined) return null // the note says what it is
  return <span class="dim">{node.c ? count(node.c.length, 'field') : 'empty'}</span>
}
