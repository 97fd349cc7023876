import { Table } from './list'
import type { State } from './main'
import { bytes, count } from './model'

export function Memory({ core, doc, go }: State) {
  const captured = core.memory.reduce((n, s) => n + s.captured, 0)
  const weights = core.memory.map((s) => Math.log2(s.size + 2))
  return (
    <>
      <p>{count(core.memory.length, 'segment')}; {bytes(captured)} of the program's memory are in the core.</p>
      <div class="map" role="img" aria-label="Segments in the order of addresses: the dark part of each was captured. The table below has the same facts.">
        {core.memory.slice(0, 2000).map((s, i) => (
          <span style={{ flexGrow: weights[i] }} class={s.torn ? 'torn' : ''} title={s.start + ', ' + bytes(s.size) + ', ' + bytes(s.captured) + ' captured'}>
            <i style={{ height: (s.size > 0 ? (100 * s.captured) / s.size : 0) + '%' }} />
          </span>
        ))}
      </div>
      <h2>Segments</h2>
      <Table label="Segments" rows={core.memory} columns={[
        { name: 'Address', width: '10rem', cell: (s) => <code>{s.start}</code> },
        { name: 'Size', width: '6rem', cell: (s) => bytes(s.size) },
        { name: 'Captured', width: '6rem', cell: (s) => bytes(s.captured) },
        { name: 'Access', width: '6rem', cell: (s) => (s.w ? 'read, write' : 'read') },
        { name: 'Regions', width: 'minmax(8rem, 1fr)', cell: (s) => s.regions?.map((r) => <button class="link" onClick={() => go('Values', r)}>{r}</button>) },
      ]} />
      <h2>Regions</h2>
      <Table label="Regions" rows={core.regions} tone={(r) => (r.status === 'complete' ? '' : 'warn')} columns={[
        { name: 'Region', width: 'minmax(9rem, 1fr)', cell: (r) => <button class="link" onClick={() => go('Values', r.name)}>{r.name}</button> },
        { name: 'Address', width: '10rem', cell: (r) => <code>{r.address}</code> },
        { name: 'Size', width: '6rem', cell: (r) => bytes(Number(r.size)) },
        { name: 'Status', width: 'minmax(8rem, 1fr)', cell: (r) => r.status + (r.reasons ? ': ' + r.reasons.join(', ') : '') },
        { name: 'Type', width: 'minmax(8rem, 1fr)', cell: (r) => <code>{doc.strings[r.value.t]}</code> },
      ]} />
    </>
  )
}
