import { defaultRangeExtractor, elementScroll, observeElementOffset, observeElementRect, Virtualizer, type Range } from '@tanstack/virtual-core'
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks'

export const ROW = 32 // pixels

/**
 * useRows renders only the rows of a long list that are visible, and the row that the keyboard
 * is at: it keeps the focus while the list is scrolled.
 */
export function useRows(count: number, at: number) {
  const element = useRef<HTMLDivElement>(null)
  const [, update] = useReducer((n: number, _: void) => n + 1, 0)
  const options = {
    count,
    getScrollElement: () => element.current,
    estimateSize: () => ROW,
    overscan: 12,
    rangeExtractor: (range: Range) => {
      const visible = defaultRangeExtractor(range)
      return at < count && !visible.includes(at) ? [...visible, at].sort((a, b) => a - b) : visible
    },
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

/**
 * Table is a table with any number of rows. It is one stop of the Tab key, as a list box is: the
 * arrow keys move from row to row, Enter does what the first button of the row does, and Tab
 * goes through the buttons of that row alone. The marked row is in sight.
 */
export function Table<T>(props: { label: string; columns: Column<T>[]; rows: T[]; marked?: T; tone?: (row: T) => string }) {
  const [chosen, choose] = useState(0)
  const at = Math.max(0, Math.min(chosen, props.rows.length - 1))
  const { element, rows } = useRows(props.rows.length, at)
  const moved = useRef(false)
  useLayoutEffect(() => {
    for (const b of element.current!.querySelectorAll<HTMLButtonElement>('.row button')) b.tabIndex = b.closest<HTMLElement>('.row')!.dataset.index === String(at) ? 0 : -1
    if (!moved.current) return
    const row = element.current!.querySelector<HTMLElement>(`.row[data-index="${at}"]`)
    row?.focus({ preventScroll: true })
    moved.current = !row
  })
  useEffect(() => {
    const index = props.marked === undefined ? -1 : props.rows.indexOf(props.marked)
    if (index < 0) return
    choose(index)
    rows.scrollToIndex(index)
  }, [props.marked])
  const keys = (e: KeyboardEvent) => {
    if (e.altKey || e.ctrlKey || e.metaKey) return
    const page = Math.max(1, Math.floor(element.current!.clientHeight / ROW) - 1)
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: props.rows.length - 1 }
    if (e.key in to) {
      e.preventDefault()
      const next = Math.max(0, Math.min(to[e.key], props.rows.length - 1))
      choose(next)
      rows.scrollToIndex(next)
      moved.current = true
    } else if (e.key === 'Enter' && !(e.target instanceof HTMLButtonElement)) {
      element.current!.querySelector<HTMLButtonElement>(`.row[data-index="${at}"] button`)?.click()
    }
  }
  const columns = { gridTemplateColumns: props.columns.map((c) => c.width).join(' ') }
  return (
    <div class="table" role="table" aria-label={props.label} aria-rowcount={props.rows.length + 1}>
      <div role="rowgroup">
        <div class="row head" role="row" aria-rowindex={1} style={columns}>
          {props.columns.map((c) => <span role="columnheader">{c.name}</span>)}
        </div>
      </div>
      <div class="scroll" role="rowgroup" ref={element} tabIndex={0} aria-label={props.label + ', rows'} onKeyDown={keys} onMouseOver={showWhole}>
        <div role="presentation" style={{ height: rows.getTotalSize() + 'px', position: 'relative' }}>
          {rows.getVirtualItems().map((item) => {
            const row = props.rows[item.index]
            return (
              <div class={'row ' + (props.tone?.(row) ?? '') + (row === props.marked ? ' marked' : '')} role="row" aria-rowindex={item.index + 2} key={item.index} data-index={item.index} tabIndex={-1} onClick={() => choose(item.index)}
                style={{ ...columns, position: 'absolute', top: item.start + 'px', height: item.size + 'px' }}>
                {props.columns.map((c) => <span role="cell">{c.cell(row, item.index)}</span>)}
              </div>
            )
          })}
        </div>
      </div>
      <p class="printed">A printed page has the rows that were on the screen: there are {props.rows.length}.</p>
    </div>
  )
}

/** After shows what follows a call in its stack and is left out. */
export function After({ texts }: { texts?: string[] }) {
  return <>{texts?.map((text) => <div class="dim">… {text}</div>)}</>
}

/** showWhole gives a cell whose text is cut off a title with all of it. */
function showWhole(e: MouseEvent) {
  const cell = (e.target as Element).closest<HTMLElement>('[role=cell]')
  if (cell) cell.title = cell.scrollWidth > cell.clientWidth ? cell.innerText : ''
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
