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
}

function App({ doc }: { doc: Document }) {
  const [index, setIndex] = useState(doc.cores.length - 1)
  const [view, setView] = useState('Summary')
  const [target, setTarget] = useState('')
  const core = doc.cores[index]
  const changed = useMemo(() => new Map(index > 0 ? doc.diffs[index - 1].changes.map((c) => [c.path, c.kind]) : []), [index])
  const go = (name: string, what: string) => {
    setTarget(what)
    setView(name)
  }
  useEffect(() => { document.title = view + ': ' + core.title }, [view, core])
  const View = VIEWS[view]
  return (
    <>
      <a class="skip" href="#view" onClick={(e) => { e.preventDefault(); document.getElementById('view')!.focus() }}>Skip to the view</a>
      <header>
        <h1>{core.title}</h1>
        {doc.cores.length > 1 && (
          <label>Core <select value={index} onChange={(e) => setIndex(Number(e.currentTarget.value))}>
            {doc.cores.map((c, i) => <option value={i}>{i + 1}: {c.path}</option>)}
          </select></label>
        )}
        <nav aria-label="Views">
          {Object.keys(VIEWS).map((name) => <button aria-current={name === view ? 'page' : undefined} onClick={() => go(name, '')}>{name}</button>)}
        </nav>
      </header>
      <main id="view" tabIndex={-1} aria-label={view}>
        <Guarded key={view + index} view={View} doc={doc} core={core} index={index} target={target} before={doc.cores[index - 1]} changed={changed} go={go} />
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
