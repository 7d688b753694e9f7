// types.js - the shapes that modules pass to each other, for the type checker and the reader; no code.
//
// Times are nanoseconds since time 0 of the capture, in doubles: exact below 2^53 ns, which is 104 days.

/**
 * Up to 1,024 slices of one row, sorted by start. All arrays lie in one buffer, so that a worker hands it over in one move.
 * @typedef {object} Seg
 * @property {number} n
 * @property {number} t0             start of the first slice
 * @property {number} t1             latest end
 * @property {number} longest        longest duration, to skip what has no room for a label
 * @property {Float64Array} start
 * @property {Float64Array|Uint32Array} dur
 * @property {Int32Array} name       string number, -1 none; cpu: lane, or -2 - the string number of another process' name
 * @property {Int32Array} task       task number, -1 none
 * @property {Float64Array|null} extra  wait, call: object; lost: count; state: object and CPU, see states.js; cpu: process id of another process; else null
 * @property {Int32Array|null} detail  state: stack number, or -2 - the string number of the call it was blocked in, -1 none; call: its result; else null
 * @property {Uint8Array} flags      1 open_start, 2 open_end
 * @property {Uint8Array} hue        index into the palette
 * @property {Uint8Array} pyramid    see pyramid.js
 * @property {Uint16Array} wide      indices of the slices most likely to have room for a label
 */

/**
 * @typedef {'region'|'work'|'wait'|'gc'|'lost'|'state'|'cpu'|'call'} RowTable
 * @typedef {{table: RowTable, lane: number, depth: number, segs: Seg[], n: number}} Row
 * @typedef {{row: Row, seg: Seg, i: number}} Slice
 * @typedef {{id: number, kind: string, pid: number, tid: number, name: string, sort: number, rows: Row[], marks: Marks}} Lane
 * @typedef {{id: number, kind: string, name: string}} QueueObject
 */

/**
 * Points of one lane: log lines and instants.
 * @typedef {object} Marks
 * @property {number[]} t
 * @property {number[]} name         log: category; instant: name (string numbers)
 * @property {number[]} task
 * @property {(string|null)[]} text  null for an instant
 */

/**
 * A counter or the depth of a queue: a step function. Blocks of 64 points keep their least and greatest value.
 * @typedef {{title: string, kind: 'counter'|'depth', n: number, t: Float64Array, v: Float64Array, lo: Float64Array, hi: Float64Array, min: number, max: number}} Series
 */

/**
 * @typedef {object} Task
 * @property {number} id
 * @property {number} parent
 * @property {number} kind
 * @property {number} start
 * @property {number} dur
 * @property {number} status         0 ok, 1 failed, 2 not ended
 * @property {number} lane
 * @property {number} endLane
 * @property {number} code
 * @property {number} text
 * @property {string} trace
 * @property {number} flags
 */

/**
 * The header line's `capture`; every field may be missing or of another type in a foreign file, see decode.js.
 * @typedef {object} CaptureHead
 * @property {string} t0_unix_ns
 * @property {number} dur_ns
 * @property {number} pid
 * @property {string} exe
 * @property {number} cpus
 * @property {string} clock
 * @property {string} sample
 * @property {string} producer
 * @property {Record<string, string>} notes
 */

/**
 * @typedef {object} CaptureEnd
 * @property {number} dur_ns
 * @property {string} reason
 * @property {boolean} truncated
 * @property {string} identity
 * @property {number} rows
 * @property {Record<string, number>} account
 */

/**
 * What the decoder has ready since it was last asked.
 * @typedef {object} Batch
 * @property {string[]} strings
 * @property {{id: number, kind: string, pid: number, tid: number, name: string, sort: number}[]} lanes
 * @property {QueueObject[]} objects
 * @property {{table: RowTable, lane: number, depth: number, seg: PackedSeg}[]} segs
 * @property {MarkChunk[]} marks
 * @property {PointChunk[]} points
 * @property {TaskChunk[]} tasks
 * @property {AttrChunk[]} attrs
 * @property {WakeChunk[]} wakes
 * @property {SampleChunk[]} samples
 * @property {SampleChunk[]} allocSamples
 * @property {RequestChunk[]} requests
 * @property {FrameChunk[]} frames
 * @property {StackChunk[]} stacks
 * @property {Allocated[]} allocs
 * @property {Record<string, number>} skipped   unknown tables and how many chunks of each
 */

/**
 * @typedef {{n: number, buffer: ArrayBuffer, wideDur: boolean, hasExtra: boolean, hasDetail: boolean}} PackedSeg
 * @typedef {{lane: number, n: number, t: Float64Array, name: Int32Array, task: Int32Array, text: string[]|null}} MarkChunk
 * What a lane allocated, in all.
 * @typedef {{lane: number, calls: number, bytes: number, frees: number}} Allocated
 * @typedef {{kind: 'counter'|'depth', lane: number, key: number, t: Float64Array, v: Float64Array}} PointChunk
 * @typedef {{n: number, id: Float64Array, parent: Float64Array, kind: Float64Array, start: Float64Array, dur: Float64Array, status: Float64Array,
 *   lane: Float64Array, end_lane: Float64Array, code: Float64Array, text: Float64Array, flags: Float64Array, trace: string[]|string}} TaskChunk
 * @typedef {{task: Int32Array, key: Int32Array, value: (string|number)[]}} AttrChunk
 * @typedef {{t: Float64Array, from: Int32Array, to: Int32Array}} WakeChunk  who woke whom
 * @typedef {{t: Float64Array, lane: Int32Array, stack: Int32Array, task: Int32Array, cpu: Float64Array}} SampleChunk  CPU samples; cpu: the CPU time in ns that each stands for, 0 where the capture does not say; of allocations the bytes
 * @typedef {{t: Float64Array, dur: Float64Array, object: Int32Array, lane: Int32Array, side: Int32Array, end: Int32Array, flags: Int32Array}} RequestChunk  what connections were asked; lane: of the first receive, or send; end: the lane of the last send, -1: not answered
 * @typedef {{func: Int32Array, file: Int32Array, line: Int32Array}} FrameChunk  string numbers
 * @typedef {{frame: Int32Array, parent: Int32Array}} StackChunk  parent: stack number, -1 at the root
 */

export {};
