// stream.js - bytes in any pieces -> whole lines of text.
//
// A line is decoded only once it is complete, so a character cut between two pieces is never broken.

/** Longer lines are refused: V8 strings end at about 512 MB, and a chunk of 16,384 rows is normally below 1 MB. */
export const LINE_BYTES_MAX = 256 * 1024 * 1024;

export class LineSplitter {
    /** @param {number} [lineBytesMax] */
    constructor(lineBytesMax = LINE_BYTES_MAX) {
        /** @type {Uint8Array[]} */
        this.pieces = [];
        this.pendingBytes = 0;
        this.lineBytesMax = lineBytesMax;
        this.decoder = new TextDecoder('utf-8');
    }

    /**
     * @param {Uint8Array} bytes
     * @param {(line: string) => void} onLine
     */
    feed(bytes, onLine) {
        let from = 0;
        for (;;) {
            const at = bytes.indexOf(10, from);
            if (at < 0) break;
            onLine(this.take(bytes.subarray(from, at)));
            from = at + 1;
        }
        if (from < bytes.length) this.keep(bytes.slice(from));
    }

    /** @param {(line: string) => void} onLine  gets what stands after the last line end, if anything */
    finish(onLine) {
        if (this.pendingBytes > 0) onLine(this.take(new Uint8Array(0)));
    }

    /** @param {Uint8Array} piece */
    keep(piece) {
        this.pendingBytes += piece.length;
        if (this.pendingBytes > this.lineBytesMax) throw new RangeError(`a line is longer than ${this.lineBytesMax} bytes`);
        this.pieces.push(piece);
    }

    /** @param {Uint8Array} tail */
    take(tail) {
        if (this.pendingBytes === 0) return this.decoder.decode(tail);
        const whole = new Uint8Array(this.pendingBytes + tail.length);
        let at = 0;
        for (const piece of this.pieces) {
            whole.set(piece, at);
            at += piece.length;
        }
        whole.set(tail, at);
        this.pieces = [];
        this.pendingBytes = 0;
        return this.decoder.decode(whole);
    }
}
