import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core'
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks'

export const ROW = 32 // pixels

/** useRows renders only the rows of a long list that are visible. */
export function useRows(count: number) {
  const element = useRef<HTMLDivElement>(null)
  const [, update] = useReducer((n: number, _: void) => n + 1, 0)
  const options = {
    count,
    getScrollElement: () => element.current,
    estimateSize: () => ROW,
    overscan: 12,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => update(),
  }
  const [rows] = useState(() => new Virtualizer<HTMLDivElement, Element>(options))
  rows.setOptions(options)
  useEffect(() => rows._didMount(), [])
  useLayoutEffect(() => rows._willUpdate())
  return { element, rows }
}

export interface Column<T> {
  name: string
  width: string
  cell: (row: T, index: number) => ComponentChildren
}

/** Table is a table with any number of rows. */
export function Table<T>(props: { label: string; columns: Column<T>[]; rows: T[]; marked?: (row: T) => boolean; tone?: (row: T) => string }) {
  const { element, rows } = useRows(props.rows.length)
  const columns = { gridTemplateColumns: props.columns.map((c) => c.width).join(' ') }
  return (
    <div class="table" role="table" aria-label={props.label} aria-rowcount={props.rows.length + 1}>
      <div role="rowgroup">
        <div class="row head" role="row" aria-rowindex={1} style={columns}>
          {props.columns.map((c) => <span role="columnheader">{c.name}</span>)}
        </div>
      </div>
      <div class="scroll" role="rowgroup" ref={element} tabIndex={0} aria-label={props.label + ', rows'}>
        <div role="presentation" style={{ height: rows.getTotalSize() + 'px', position: 'relative' }}>
          {rows.getVirtualItems().map((item) => {
            const row = props.rows[item.index]
            return (
              <div class={'row ' + (props.tone?.(row) ?? '') + (props.marked?.(row) ? ' marked' : '')} role="row" aria-rowindex={item.index + 2} key={item.index}
                style={{ ...columns, position: 'absolute', top: item.start + 'px', height: item.size + 'px' }}>
                {props.columns.map((c) => <span role="cell">{c.cell(row, item.index)}</span>)}
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

/** Badge marks what differs from the core before. */
export function Badge({ text }: { text: string }) {
  return <strong class="badge"> {text}</strong>
}

/** Search is a field for a text. */
export function Search(props: { label: string; value: string; set: (text: string) => void }) {
  return (
    <label class="search">{props.label}{' '}
      <input type="search" value={props.value} onInput={(e) => props.set(e.currentTarget.value)} />
    </label>
  )
}
