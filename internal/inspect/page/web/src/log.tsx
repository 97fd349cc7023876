import { useMemo, useState } from 'preact/hooks'
import { Badge, Search, Table } from './list'
import type { State } from './main'
import { count, level, LEVELS } from './model'

export function Log({ core, before }: State) {
  const [least, setLeast] = useState(-1000)
  const [query, setQuery] = useState('')
  const end = Math.max(core.captured, core.log.at(-1)?.t ?? 0) // a program may log after it prepared its core
  const rows = useMemo(() => {
    const text = query.toLowerCase()
    return core.log.filter((r) => r.l >= least && (r.m + ' ' + (r.a ?? '')).toLowerCase().includes(text))
  }, [core, least, query])
  if (core.log.length === 0) return <p>The core has no log: the program does not use package logring.</p>
  return (
    <>
      <div class="tools">
        <label>Level <select value={least} onChange={(e) => setLeast(Number(e.currentTarget.value))}>
          <option value={-1000}>all</option>
          {LEVELS.map(([name, n]) => <option value={n}>{name} and above</option>)}
        </select></label>
        <Search label="Search" value={query} set={setQuery} />
        <span aria-live="polite">{count(rows.length, 'record')}</span>
      </div>
      <Table label="Log records" rows={rows} tone={(r) => (r.l >= 8 ? 'bad' : r.l >= 4 ? 'warn' : '')} columns={[
        { name: 'Before the end', width: '8rem', cell: (r) => (r.t ? <span title={new Date(r.t).toISOString()}>{((end - r.t) / 1000).toFixed(3)} s</span> : '') },
        { name: 'Level', width: '6rem', cell: (r) => <>{level(r.l)}{before?.captured && r.t && r.t > before.captured ? <Badge text="new" /> : ''}</> },
        { name: 'Message', width: 'minmax(10rem, 1fr)', cell: (r) => <>{r.m} <code class="dim">{r.a}</code></> },
      ]} />
    </>
  )
}
