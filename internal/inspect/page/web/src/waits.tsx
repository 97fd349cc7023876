import { graphlib, layout } from '@dagrejs/dagre'
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Badge, Table } from './list'
import type { State } from './main'
import { count, ownFrame, short, type Core, type Deadlock, type Goroutine, type Other, type WaitObject } from './model'

const FIRST_OBJECTS = 12 // of a graph that a person can read
const MORE_OBJECTS = 38 // at a time: the layout of a large graph takes long
const MAX_OBJECTS = 150 // of a graph that a browser draws at once
const MAX_BOXES = 300
const MAX_DEADLOCKS = 8 // of the list, and goroutines of each

interface Box { id: string; text: string; detail: string; object: boolean; path?: string; goroutine?: string; members?: Set<string> }

interface Edge { from: string; to: string; sure: boolean }

/** graphOf returns the boxes and arrows of groups of goroutines and objects, and what is in a cycle. */
function graphOf(core: Core, strings: string[], most: number) {
  const goroutines = new Map(core.goroutines.map((g) => [g.id, g]))
  const boxes = new Map<string, Box>()
  const edges = new Map<string, Edge>()
  const group = (id: string) => {
    const g = goroutines.get(id)
    if (!g) return null
    const key = 'group ' + g.g
    const frame = ownFrame(core, core.groups[g.g])
    if (!boxes.has(key) && boxes.size >= MAX_BOXES) return null
    if (!boxes.has(key)) boxes.set(key, { id: key, text: frame === undefined ? 'goroutine ' + id : short(strings[core.frames[frame][0]]), detail: '', object: false, goroutine: id, members: new Set() })
    boxes.get(key)!.members!.add(id) // those that wait or have a pointer, not all of the group
    return key
  }
  const add = (from: string | null, to: string | null, sure = true) => {
    if (from === null || to === null) return
    const key = from + ' > ' + to
    edges.set(key, { from, to, sure: sure || (edges.get(key)?.sure ?? false) })
  }
  const all = alike(core, goroutines)
  const cycles = new Set(core.deadlocks.flatMap((d) => [...d.objects.map((address) => 'object ' + address), ...d.goroutines]))
  const first = (objects: WaitObject[]) => (cycles.has(idOf(objects)) ? 0 : 1)
  all.sort((a, b) => first(a) - first(b))
  for (const objects of all.slice(0, most)) {
    const o = objects[0]
    const key = idOf(objects)
    const text = objects.length > 1 ? count(objects.length, 'object') : o.path || o.address!
    boxes.set(key, { id: key, text, detail: o.kind + (o.state ? ', ' + o.state : ''), object: true, path: o.path })
    for (const { waiters, others } of objects) {
      for (const w of waiters) add(group(w.id), key)
      for (const other of others) add(key, group(other.id), other.d ?? false)
    }
  }
  for (const b of boxes.values()) if (b.members) b.detail = count(b.members.size, 'goroutine')
  const cyclic = new Set([...boxes.values()].filter((b) => cycles.has(b.id) || [...(b.members ?? [])].some((id) => cycles.has(id))).map((b) => b.id))
  return { boxes, edges: [...edges.values()], cyclic, left: Math.max(0, all.length - most) }
}

const idOf = (objects: WaitObject[]) => 'object ' + objects[0].address

/** waitersOf names the groups that wait for an object, and what they do. */
function waitersOf(o: WaitObject, goroutines: Map<string, Goroutine>): string {
  const name = (w: WaitObject['waiters'][0]) => goroutines.get(w.id)?.g + ' ' + w.action
  return o.waiters.length === 1 ? name(o.waiters[0]) : [...new Set(o.waiters.map(name))].join()
}

/** alike puts objects without a name, for which goroutines of the same groups wait, together. */
function alike(core: Core, goroutines: Map<string, Goroutine>): WaitObject[][] {
  const sets = new Map<string, WaitObject[]>()
  for (const o of core.waits) {
    if (!o.address) continue
    const key = o.path || o.others.length > 0 ? o.address : o.kind + o.state + waitersOf(o, goroutines)
    const set = sets.get(key)
    if (set) set.push(o)
    else sets.set(key, [o])
  }
  // What leads on to other goroutines comes first, then what has a name, then what has the most waiters.
  const rank = (o: WaitObject) => (o.others.length > 0 ? 0 : o.path ? 1 : 2)
  return [...sets.values()].sort((a, b) => rank(a[0]) - rank(b[0]))
}

/** titleOf describes a deadlock. */
function titleOf(d: Deadlock): string {
  const more = d.blocked ? `, ${d.blocked.toLocaleString('en')} more ${d.blocked === 1 ? 'waits' : 'wait'} for them` : ''
  return (d.certain ? 'Deadlock' : 'Possible deadlock') + ' of ' + count(d.n, 'goroutine') + more
}

/** deadlockTitle describes the deadlock of a core, or returns how many there are. */
export function deadlockTitle(core: Core): string {
  if (core.deadlocks.length === 1) return titleOf(core.deadlocks[0])
  const certain = core.deadlocks.filter((d) => d.certain).length
  const possible = core.deadlocks.length - certain
  return [certain && count(certain, 'deadlock'), possible && count(possible, 'possible deadlock')].filter(Boolean).join(' and ')
}

/** cycleOf lists the goroutines of a cycle, and for what each of them waits. */
function cycleOf(d: Deadlock, objects: Map<string, WaitObject>, go: State['go']) {
  const left = d.goroutines.length - MAX_DEADLOCKS
  return (
    <>
      {d.goroutines.slice(0, MAX_DEADLOCKS).map((id, i) => (
        <>{i > 0 && ', '}goroutine <button class="link" onClick={() => go('Goroutines', id)}>{id}</button> waits for <code>{objects.get(d.objects[i])?.path || d.objects[i]}</code></>
      ))}
      {left > 0 && `, ${left.toLocaleString('en')} more`}
    </>
  )
}

/** whyOther returns why a goroutine may release an object. */
function whyOther(o: WaitObject, other: Other): string {
  if (other.d) return o.lock ? 'has to unlock it' : 'has to count it down'
  return other.u ? 'is in ' + short(other.u) : 'has a pointer to it'
}

/** drawn lays the graph out. */
function drawn(core: Core, strings: string[], most: number) {
  const { boxes, edges, cyclic, left } = graphOf(core, strings, most)
  const g = new graphlib.Graph()
  g.setGraph({ rankdir: 'LR', ranker: 'longest-path', nodesep: 14, ranksep: 70, marginx: 8, marginy: 8 })
  g.setDefaultEdgeLabel(() => ({}))
  for (const b of boxes.values()) g.setNode(b.id, { width: Math.min(320, Math.max(110, 9 * Math.max(b.text.length, b.detail.length) + 24)), height: 44 })
  for (const e of edges) g.setEdge(e.from, e.to)
  layout(g)
  return { boxes, edges, g, cyclic, left }
}

export function Waits({ core, doc, go, before }: State) {
  const known = useMemo(() => before && new Map(before.waits.map((o) => [o.path || o.address || o.kind, o.waiters.length])), [before])
  const [most, setMost] = useState(FIRST_OBJECTS)
  const { boxes, edges, g, cyclic, left } = useMemo(() => drawn(core, doc.strings, most), [core, most])
  const others = core.waits.filter((o) => !o.address)
  const objects = useMemo(() => new Map(core.waits.map((o) => [o.address ?? '', o])), [core])
  const graph = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => { // a screen has room for a part: the cycle, or where the arrows begin
    const all = [...(graph.current?.querySelectorAll<HTMLElement>('.box') ?? [])].sort((a, b) => a.offsetLeft - b.offsetLeft)
    const first = all.find((b) => b.classList.contains('cycle')) ?? all[0]
    if (first) graph.current!.scrollTo(first.offsetLeft - 8, first.offsetTop - graph.current!.clientHeight / 2)
  }, [g])
  if (core.waits.length === 0) return <p>No goroutine waits for an object that the core names.</p>
  const { width = 0, height = 0 } = g.graph() as { width?: number; height?: number }
  const inCycle = (e: Edge) => cyclic.has(e.from) && cyclic.has(e.to)
  return (
    <>
      <p>{count(core.waits.length, 'object')}. An arrow leads from goroutines to what they wait for, and from there to goroutines that may let the others go on: a deferred call of theirs unlocks the lock or counts down the wait group, or, with a dashed arrow, their code uses the object or they have a pointer to it.</p>
      {core.deadlocks.length > 0 && (
        <div role="note">
          <p class="bad"><strong>{deadlockTitle(core)}.</strong>{cyclic.size > 0 && ' Boxes with a double red border have goroutines that wait for each other, and objects for which they wait.'}</p>
          <ul>
            {core.deadlocks.slice(0, MAX_DEADLOCKS).map((d) => <li>{core.deadlocks.length > 1 && titleOf(d) + ': '}{cycleOf(d, objects, go)}</li>)}
            {core.deadlocks.length > MAX_DEADLOCKS && <li>{(core.deadlocks.length - MAX_DEADLOCKS).toLocaleString('en')} more</li>}
          </ul>
        </div>
      )}
      {left > 0 && <p>The graph has {most} of {most + left} boxes of objects; objects that are alike share a box. {most < MAX_OBJECTS ? <button onClick={() => setMost(Math.min(most + MORE_OBJECTS, MAX_OBJECTS))}>Show {Math.min(left, MORE_OBJECTS, MAX_OBJECTS - most)} more</button> : <>It has no room for {left} more.</>}</p>}
      {boxes.size > 0 && (
        <div class="graph" tabIndex={0} role="group" ref={graph} aria-label="Graph of waits">
          <div style={{ position: 'relative', width: width + 'px', height: height + 'px' }}>
            <svg width={width} height={height} aria-hidden="true" focusable="false">
              <defs>
                <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 8 4 0 8z" /></marker>
              </defs>
              {edges.map((e) => {
                const at = g.edge(e.from, e.to) as { points: { x: number; y: number }[] }
                return <polyline class={(inCycle(e) ? 'cycle' : '') + (e.sure ? '' : ' possible')} points={at.points.map((p) => p.x + ',' + p.y).join(' ')} marker-end="url(#arrow)" />
              })}
            </svg>
            {[...boxes.values()].map((b) => {
              const at = g.node(b.id) as { x: number; y: number; width: number; height: number }
              const place = { left: at.x - at.width / 2 + 'px', top: at.y - at.height / 2 + 'px', width: at.width + 'px', height: at.height + 'px' }
              const kind = 'box ' + (b.object ? 'object' : 'group') + (cyclic.has(b.id) ? ' cycle' : '')
              const text = <><code>{b.text}</code><small>{b.detail}</small></>
              if (b.object && !b.path) return <div class={kind} style={place}>{text}</div>
              return <button class={kind} style={place} onClick={() => (b.object ? go('Values', b.path!) : go('Goroutines', b.goroutine!))}>{text}</button>
            })}
          </div>
        </div>
      )}
      <h2>As a list</h2>
      <Table label="Objects" rows={core.waits} columns={[
        { name: 'Object', width: 'minmax(9rem, 2fr)', cell: (o) => <>{o.path ? <button class="link" onClick={() => go('Values', o.path!)}>{o.path}</button> : <code>{o.address || ''}</code>}{known && !known.has(o.path || o.address || o.kind) && <Badge text="new" />}</> },
        { name: 'Kind', width: 'minmax(7rem, 1fr)', cell: (o) => o.kind + (o.state ? ', ' + o.state : '') },
        { name: 'Waiting', width: '7rem', cell: (o) => { const was = known?.get(o.path || o.address || o.kind); return <>{count(o.waiters.length, 'goroutine')}{was !== undefined && was !== o.waiters.length && <Badge text={'was ' + was} />}</> } },
        { name: 'For', width: 'minmax(6rem, 1fr)', cell: (o) => [...new Set(o.waiters.map((w) => w.action + (w.select ? ' in select' : '')))].join(', ') },
        { name: 'Goroutines that may release it', width: 'minmax(11rem, 1fr)', cell: (o) => o.others.map((other) => <><button class="link" onClick={() => go('Goroutines', other.id)}>{other.id}</button> <span class="dim">{whyOther(o, other)}</span> </>) },
      ]} />
      {others.length > 0 && boxes.size === 0 && <p>The core names no address of an object, so there is no graph.</p>}
    </>
  )
}
