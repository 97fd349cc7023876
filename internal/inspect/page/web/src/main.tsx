import { render, type ComponentType } from 'preact'
import { useEffect, useErrorBoundary, useMemo, useState } from 'preact/hooks'
import { Compare } from './compare'
import { Goroutines } from './goroutines'
import { Log } from './log'
import { Memory } from './memory'
import { read, type Core, type Document } from './model'
import { Summary } from './summary'
import { Values } from './values'
import { Waits } from './waits'

const VIEWS: Record<string, ComponentType<State>> = { Summary, Goroutines, Waits, Values, Memory, Log, Compare }

/** State is what each view receives. */
export interface State {
  doc: Document
  core: Core
  index: number // of the core
  target: string // path or goroutine to show
  before?: Core // the core that this one is compared with
  changed: Map<string, string> // what is new at a path: added or changed
  go: (view: string, target: string) => void
  mark: (target: string) => void // names what is shown in the URL, without a step of the browser's Back
}

/** A Place is what the fragment of the URL names, so that a link leads to it, and the browser's Back. */
type Place = Pick<State, 'index' | 'target'> & { view: string }

function placeOf(fragment: string, cores: number): Place {
  const words = new URLSearchParams(fragment.slice(1))
  const view = words.get('view') ?? ''
  const core = Number(words.get('core'))
  return {
    view: Object.hasOwn(VIEWS, view) ? view : 'Summary',
    index: Number.isInteger(core) && core > 0 && core <= cores ? core - 1 : cores - 1,
    target: words.get('at') ?? '',
  }
}

function fragmentOf({ view, index, target }: Place, cores: number): string {
  const words = new URLSearchParams({ view })
  if (cores > 1) words.set('core', String(index + 1))
  if (target) words.set('at', target)
  return '#' + words
}

function App({ doc }: { doc: Document }) {
  const [fragment, setFragment] = useState(location.hash)
  const { view, index, target } = placeOf(fragment, doc.cores.length)
  const core = doc.cores[index]
  const changed = useMemo(() => new Map(index > 0 ? doc.diffs[index - 1].changes.map((c) => [c.path, c.kind]) : []), [index])
  const visit = (place: Place) => {
    location.hash = fragmentOf(place, doc.cores.length)
    setFragment(location.hash)
  }
  const go = (view: string, target: string) => visit({ view, index, target })
  const mark = (target: string) => {
    history.replaceState(null, '', fragmentOf({ view, index, target }, doc.cores.length))
    setFragment(location.hash)
  }
  useEffect(() => {
    const arrive = () => setFragment(location.hash)
    addEventListener('hashchange', arrive)
    return () => removeEventListener('hashchange', arrive)
  }, [])
  useEffect(() => { // what had the focus may be gone after a click: the view takes it
    const keep = () => requestAnimationFrame(() => requestAnimationFrame(() => {
      if (document.activeElement === document.body) document.getElementById('view')!.focus({ preventScroll: true })
    }))
    addEventListener('click', keep)
    return () => removeEventListener('click', keep)
  }, [])
  useEffect(() => { document.title = view + ': ' + core.title }, [view, core])
  const View = VIEWS[view]
  return (
    <>
      <a class="skip" href="#view" onClick={(e) => { e.preventDefault(); document.getElementById('view')!.focus() }}>Skip to the view</a>
      <header>
        <h1>{core.title}</h1>
        {doc.cores.length > 1 && (
          <label>Core <select value={index} onChange={(e) => visit({ view, target, index: Number(e.currentTarget.value) })}>
            {doc.cores.map((c, i) => <option value={i}>{i + 1}: {c.path}</option>)}
          </select></label>
        )}
        <nav aria-label="Views">
          {Object.keys(VIEWS).map((name) => <button aria-current={name === view ? 'page' : undefined} onClick={() => go(name, '')}>{name}</button>)}
        </nav>
      </header>
      <main id="view" tabIndex={-1} aria-label={view}>
        <Guarded key={view + index} view={View} doc={doc} core={core} index={index} target={target} before={doc.cores[index - 1]} changed={changed} go={go} mark={mark} />
      </main>
    </>
  )
}

/** Guarded keeps a fault of one view from the others. */
function Guarded({ view: View, ...state }: State & { view: ComponentType<State> }) {
  const [fault] = useErrorBoundary()
  return fault ? <p class="bad">This view cannot be shown: {String(fault)}</p> : <View {...state} />
}

const app = document.getElementById('app')!
read().then((doc) => {
  app.replaceChildren()
  render(<App doc={doc} />, app)
}).catch((err) => {
  app.textContent = 'This page cannot be shown: ' + err
})
