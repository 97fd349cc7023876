// The JSON in a page. The types in ../../document.go and the files next to it are the
// same, and the two change together.

export interface Document {
  cores: Core[]
  diffs: Comparison[]
  strings: string[]
}

export interface Core {
  path: string
  title: string
  facts: [string, string][]
  captured: number
  failed?: Failed
  summary: [string, string][]
  gaps: string[]
  warnings: string[]
  frames: [number, number, number][]
  stacks: Stack[]
  goroutines: Goroutine[]
  groups: Group[]
  waits: WaitObject[]
  deadlocks: Deadlock[]
  regions: Region[]
  memory: Segment[]
  heap?: Heap
  log: LogRecord[]
}

export interface Failed {
  id: string
  state: string
  calls: { frame: number; library?: boolean; source?: string; objects?: string[]; after?: string[] }[]
  problem?: string
}

/** Stack is calls whose recursion is folded. */
export interface Stack {
  f: number[] // frames, the innermost first
  a?: Record<number, string[]> // what follows a frame, by its index, and is left out
}

export interface Goroutine {
  id: string
  p?: string // parent
  s: number // state
  w?: number // seconds that it waits
  g: number // group
  k: number // stack
  c: number // frame of the go statement, or -1
  l?: string // labels
  f?: boolean // failed
  x?: string // problem
}

export interface Group {
  k: number // stack
  o: number // frame that names the stack, or -1
  n: number // goroutines
  y?: boolean // of the runtime
  f?: boolean // failed
}

export interface WaitObject {
  kind: string
  address?: string
  path?: string
  state?: string
  lock?: boolean
  waiters: { id: string; action: string; select?: boolean }[]
  others: Other[]
}

/** Other is a goroutine that may release an object. */
export interface Other {
  id: string
  d?: boolean // a deferred call of it unlocks the lock, or counts down the wait group
  u?: string // the function of its stack whose code uses the object
}

/** Deadlock is goroutines that wait for each other. */
export interface Deadlock {
  certain?: boolean
  n: number // goroutines that wait for each other
  blocked?: number // more that wait for them
  goroutines: string[] // a cycle
  objects: string[] // addresses of what each of them waits for
}

export interface Region {
  name: string
  address: string
  size: string
  status: string
  reasons?: string[]
  value: ValueNode
}

export interface ValueNode {
  n?: string // step of the path
  t: number // type
  v?: string // Go source
  m?: string // why there is nothing to show
  a?: string // address of what a reference refers to
  r?: string // address of the value that is shown elsewhere
  o?: string // note
  l?: number // elements
  c?: ValueNode[]
}

export interface Segment {
  start: string
  size: number
  captured: number
  torn?: number
  w?: boolean
  regions?: string[]
}

/** Heap is what keeps the memory of the program alive, in bytes. */
export interface Heap {
  objects: number
  bytes: number
  shared: number
  garbage: number
  unknown: number
  free: number
  stacks: number
  leaks?: { function: string; state: string; count: number; ids: string[] }[]
  partial?: boolean
  problems?: string[]
  roots: { name: string; retained: number; objects: number; paths?: { steps: string[]; type: number; objects: number; exclusive: number; retained: number }[] }[]
}

export interface LogRecord {
  t?: number
  l: number
  m: string
  a?: string
}

export interface Comparison {
  unknown: number
  changes: { kind: 'added' | 'removed' | 'changed'; path: string; before?: string; after?: string; by?: string }[]
  groups: { functions: number[]; before: number; after: number }[]
}

/** read unpacks the data of the page. */
export async function read(): Promise<Document> {
  const packed = Uint8Array.from(atob(document.getElementById('data')!.textContent!), (c) => c.charCodeAt(0))
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))
  return new Response(stream).json()
}

/** ownFrame returns the frame that names a group. */
export function ownFrame(core: Core, g: Group): number | undefined {
  return g.o >= 0 ? g.o : undefined
}

/** short returns the last element of a function's or a file's path. */
export function short(path: string): string {
  const at = path.indexOf('[')
  return path.slice(path.lastIndexOf('/', at < 0 ? undefined : at) + 1)
}

/** placeOf writes the file of a frame, with its folder, and its line. */
export function placeOf(strings: string[], [, file, line]: [number, number, number]): string {
  return strings[file].split('/').slice(-2).join('/') + ':' + line
}

export const LEVELS: [string, number][] = [['DEBUG', -4], ['INFO', 0], ['WARN', 4], ['ERROR', 8]]

/** level names a level as log/slog does. */
export function level(n: number): string {
  for (const [name, base] of [...LEVELS].reverse()) {
    if (n >= base) return n > base ? name + '+' + (n - base) : name
  }
  return 'DEBUG' + (n + 4)
}

/** bytes writes a size. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']
  let unit = 0
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024
    unit++
  }
  return (unit === 0 ? String(n) : n.toFixed(1)) + ' ' + units[unit]
}

/** duration writes seconds. */
export function duration(seconds: number): string {
  for (const [unit, size] of [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]] as const) {
    if (seconds >= size) return Math.floor(seconds / size) + ' ' + unit
  }
  return Math.round(seconds * 1000) + ' ms'
}

/** count writes a number with its noun. */
export function count(n: number, noun: string): string {
  return n.toLocaleString('en') + ' ' + noun + (n === 1 ? '' : 's')
}
