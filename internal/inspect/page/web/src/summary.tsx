import type { State } from './main'
import { short, count } from './model'

export function Summary({ core, doc, go }: State) {
  return (
    <>
      <h2>{core.title}</h2>
      <dl class="facts">
        <dt>Core</dt><dd>{core.path}</dd>
        {core.facts.map(([name, text]) => <><dt>{name}</dt><dd>{text}</dd></>)}
        <dt>Goroutines</dt><dd>{count(core.goroutines.length, 'goroutine')} in {count(core.groups.length, 'group')}</dd>
      </dl>
      {core.failed && (
        <section aria-labelledby="failed">
          <h3 id="failed">Goroutine {core.failed.id} {core.failed.state && <>({core.failed.state})</>} ended the program</h3>
          <ol class="calls">
            {core.failed.calls.map((c) => {
              const [fn, file, line] = core.frames[c.frame]
              return (
                <li class={c.library ? 'library' : ''}>
                  <code>{short(doc.strings[fn])}</code> <span class="dim">{short(doc.strings[file])}:{line}</span>
                  {c.source && <pre>{c.source}</pre>}
                  {c.objects?.map((path) => <button class="link" onClick={() => go('Values', path)}>{path}</button>)}
                </li>
              )
            })}
          </ol>
          {core.failed.problem && <p>{core.failed.problem}</p>}
        </section>
      )}
      {core.summary.length > 0 && (
        <section aria-labelledby="values">
          <h3 id="values">Values</h3>
          <dl class="facts">{core.summary.map(([name, text]) => <><dt><button class="link" onClick={() => go('Values', name)}>{name}</button></dt><dd><code>{text}</code></dd></>)}</dl>
        </section>
      )}
      {core.log.length > 0 && (
        <section aria-labelledby="last">
          <h3 id="last">Last log records</h3>
          <ol class="plain">{core.log.slice(-5).map((r) => <li><code>{r.m} {r.a}</code></li>)}</ol>
        </section>
      )}
      <section aria-labelledby="gaps">
        <h3 id="gaps">What the core lacks</h3>
        {core.gaps.length + core.warnings.length === 0 ? <p>Nothing.</p> : <ul>{[...core.gaps, ...core.warnings].map((g) => <li>{g}</li>)}</ul>}
      </section>
    </>
  )
}
