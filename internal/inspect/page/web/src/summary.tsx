import { useMemo } from 'preact/hooks'
import { After } from './list'
import type { State } from './main'
import { count, duration, level, ownFrame, placeOf, short, type Core, type Group, type WaitObject } from './model'
import { deadlockTitle } from './waits'

// How many there are in the summary: the other views have all.
const FIRST_GROUPS = 6
const FIRST_WAITS = 4

/** othersOf returns the groups of the program's goroutines, without the one that failed, with their states. */
function othersOf(core: Core, strings: string[]): { group: Group; n: number; first: string; states: string }[] {
  const members = core.groups.map((): { n: number; first: string; states: Map<number, number>; waits: number[] } => ({ n: 0, first: '', states: new Map(), waits: [] }))
  for (const g of core.goroutines) {
    if (g.f) continue
    const m = members[g.g]
    m.n++
    m.first ||= g.id
    m.states.set(g.s, (m.states.get(g.s) ?? 0) + 1)
    m.waits = m.waits.length === 0 ? [g.w ?? 0, g.w ?? 0] : [Math.min(m.waits[0], g.w ?? 0), Math.max(m.waits[1], g.w ?? 0)]
  }
  return core.groups.flatMap((group, i) => {
    const { n, first, states, waits } = members[i]
    if (group.y || n === 0) return []
    const tallies = [...states].sort((a, b) => b[1] - a[1])
    return [{ group, n, first, states: tallies.map(([s, n]) => (tallies.length > 1 ? n + ' ' : '') + strings[s]).join(', ') + waitText(waits) }]
  }).sort((a, b) => b.n - a.n)
}

/** waitText returns how long goroutines have waited, from the shortest to the longest. */
function waitText([shortest, longest]: number[]): string {
  if (!longest) return ''
  if (duration(shortest) === duration(longest)) return ', for ' + duration(longest)
  return ', for ' + duration(shortest) + ' to ' + duration(longest)
}

/** waitersOf returns which goroutines wait for an object, and what they do. */
function waitersOf(core: Core, strings: string[], groups: Map<string, number>, o: WaitObject): string {
  const tallies = new Map<string, number>()
  for (const w of o.waiters) {
    const group = groups.get(w.id)
    const frame = group === undefined ? undefined : ownFrame(core, core.groups[group])
    const what = w.action + '|' + (w.select ? ' in select' : '') + (frame === undefined ? '' : ': ' + short(strings[core.frames[frame][0]]))
    tallies.set(what, (tallies.get(what) ?? 0) + 1)
  }
  return [...tallies].map(([what, n]) => count(n, 'goroutine') + ' ' + what.replace('|', n === 1 ? 's' : '')).join('; ')
}

export function Summary({ core, doc, go, before, index }: State) {
  const groups = useMemo(() => othersOf(core, doc.strings), [core])
  const groupOf = useMemo(() => new Map(core.goroutines.map((g) => [g.id, g.g])), [core])
  const total = groups.reduce((n, g) => n + g.n, 0)
  const waits = core.waits.filter((o) => o.address && (o.path || o.waiters.length > 1))
  return (
    <>
      <dl class="facts subjects">
        {core.facts.map(([name, text]) => <><dt>{name}</dt><dd>{text}</dd></>)}
      </dl>
      {before && <p>Since <code>{before.path}</code>: <button class="link" onClick={() => go('Compare', '')}>{count(doc.diffs[index - 1].changes.length, 'change')} of values, {count(doc.diffs[index - 1].groups.length, 'change')} of groups of goroutines</button></p>}
      {core.deadlocks.length > 0 && <p class="bad" role="note"><strong>{deadlockTitle(core)}:</strong> <button class="link" onClick={() => go('Waits', '')}>which goroutines wait for each other</button></p>}
      {core.failed && (
        <section aria-labelledby="failed">
          <h2 id="failed">Goroutine {core.failed.id} {core.failed.state && <>({core.failed.state})</>} ended the program</h2>
          <ol class="calls">
            {core.failed.calls.map((c) => {
              const frame = core.frames[c.frame]
              return (
                <li class={c.library ? 'library' : ''}>
                  <code>{short(doc.strings[frame[0]])}</code> <span class="dim">{placeOf(doc.strings, frame)}</span>
                  {c.source && <pre>{c.source}</pre>}
                  {c.objects?.map((path) => <button class="link" onClick={() => go('Values', path)}>{path}</button>)}
                  <After texts={c.after} />
                </li>
              )
            })}
          </ol>
          {core.failed.problem && <p>{core.failed.problem}</p>}
        </section>
      )}
      {groups.length > 0 && (
        <section aria-labelledby="groups">
          <h2 id="groups">{count(total, core.failed ? 'other goroutine' : 'goroutine')} in {count(groups.length, 'group')}</h2>
          <ol class="plain">
            {groups.slice(0, FIRST_GROUPS).map((g) => {
              const frame = ownFrame(core, g.group)
              return <li><button class="link" onClick={() => go('Goroutines', g.first)}>{g.n.toLocaleString('en')} × {frame === undefined ? 'no stack' : short(doc.strings[core.frames[frame][0]])}</button> {g.states} {frame !== undefined && <span class="dim">{placeOf(doc.strings, core.frames[frame])}</span>}</li>
            })}
          </ol>
          {groups.length > FIRST_GROUPS && <p><button class="link" onClick={() => go('Goroutines', '')}>{count(groups.length - FIRST_GROUPS, 'more group')}</button></p>}
        </section>
      )}
      {waits.length > 0 && (
        <section aria-labelledby="waits">
          <h2 id="waits">What they wait for</h2>
          <ol class="plain">
            {waits.slice(0, FIRST_WAITS).map((o) => (
              <li>{o.path ? <button class="link" onClick={() => go('Values', o.path!)}>{o.path}</button> : <code>{o.address} </code>}({o.kind}{o.state && ', ' + o.state}): {waitersOf(core, doc.strings, groupOf, o)}</li>
            ))}
          </ol>
          {waits.length > FIRST_WAITS && <p><button class="link" onClick={() => go('Waits', '')}>{count(waits.length - FIRST_WAITS, 'more object')}</button></p>}
        </section>
      )}
      {core.summary.length > 0 && (
        <section aria-labelledby="values">
          <h2 id="values">Values</h2>
          <dl class="facts">{core.summary.map(([name, text]) => <><dt><button class="link" onClick={() => go('Values', name)}>{name}</button></dt><dd><code>{text}</code></dd></>)}</dl>
        </section>
      )}
      {core.log.length > 0 && (
        <section aria-labelledby="last">
          <h2 id="last">Last log records</h2>
          <ol class="plain">{core.log.slice(-5).map((r) => <li><code>{r.t ? new Date(r.t).toISOString().slice(11, 23) : ''} {level(r.l)} {r.m} {r.a}</code></li>)}</ol>
        </section>
      )}
      <section aria-labelledby="gaps">
        <h2 id="gaps">What the core lacks</h2>
        {core.gaps.length + core.warnings.length === 0 ? <p>Nothing.</p> : <ul>{[...core.gaps, ...core.warnings].map((g) => <li>{g}</li>)}</ul>}
      </section>
    </>
  )
}
