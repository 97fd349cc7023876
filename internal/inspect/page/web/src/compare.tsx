import { Table } from './list'
import type { State } from './main'
import { count, short } from './model'

const SIGN = { added: '+', removed: '−', changed: '~' }

export function Compare({ doc, index, go }: State) {
  if (doc.cores.length < 2) return <p>Give two cores to compare them: <code>meminspect view before.core after.core</code></p>
  const at = Math.max(index, 1)
  const diff = doc.diffs[at - 1]
  return (
    <>
      <p>From <code>{doc.cores[at - 1].path}</code> to <code>{doc.cores[at].path}</code>: {count(diff.changes.length, 'change')} of values, {count(diff.groups.length, 'group')} of goroutines.
        {diff.unknown > 0 && <> {count(diff.unknown, 'value')} could not be compared: a core does not have them.</>}</p>
      <h2>Values</h2>
      <Table label="Changes of values" rows={diff.changes} columns={[
        { name: 'Path', width: 'minmax(9rem, 1fr)', cell: (c) => <button class="link" onClick={() => go('Values', c.path)}>{c.path}</button> },
        { name: 'Change', width: '6rem', cell: (c) => SIGN[c.kind] + ' ' + c.kind },
        { name: 'Before', width: 'minmax(7rem, 1fr)', cell: (c) => <code>{c.before}</code> },
        { name: 'After', width: 'minmax(7rem, 1fr)', cell: (c) => <><code>{c.after}</code>{c.by && <span class="dim"> ({c.by})</span>}</> },
      ]} />
      <h2>Groups of goroutines</h2>
      <Table label="Changes of goroutines" rows={diff.groups} columns={[
        { name: 'Functions', width: 'minmax(9rem, 1fr)', cell: (g) => <code>{g.functions.map((f) => short(doc.strings[f])).join(' ← ')}</code> },
        { name: 'Before', width: '6rem', cell: (g) => g.before },
        { name: 'After', width: '6rem', cell: (g) => g.after },
      ]} />
    </>
  )
}
