// strip.test.mjs - stripping takes nothing but comments and blanks: source and result are the same tokens with the same line ends between.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { stripText } from './support/strip.mjs';

const ROOT = fileURLToPath(new URL('../../static/', import.meta.url));
const files = fs.readdirSync(ROOT, { recursive: true }).map(String);

/** Every token as the parser sees it, and whether a line end stands before it, which is what automatic semicolons go by. @param {string} source */
function tokens(source) {
    const file = ts.createSourceFile('m.js', source, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
    assert.deepEqual(file.parseDiagnostics.map((d) => d.messageText), []);
    /** @type {string[]} */
    const out = [];
    /** @param {import('typescript').Node} node */
    const walk = (node) => {
        const children = node.getChildren(file).filter((c) => c.kind < ts.SyntaxKind.FirstJSDocNode || c.kind > ts.SyntaxKind.LastJSDocNode);
        if (children.length) return children.forEach(walk);
        const gap = source.slice(node.getFullStart(), node.getStart(file, false));
        if (node.getText(file)) out.push(`${ts.SyntaxKind[node.kind]}${gap.includes('\n') && out.length ? ' after a line end' : ''} ${node.getText(file)}`);
    };
    walk(file);
    return out;
}

for (const name of files.filter((f) => f.endsWith('.js'))) {
    test(`${name} is the same program stripped`, () => {
        const source = fs.readFileSync(path.join(ROOT, name), 'utf8');
        const stripped = stripText(source, 'js').toString();
        assert.deepEqual(tokens(stripped), tokens(source));
        assert.doesNotMatch(stripped, /^\s|@param|\n\n/m);
        assert.deepEqual(stripText(stripped, 'js').toString(), stripped);
    });
}

const TRICKY = [
    "const u = 'http://x/*no*/'; // yes", 'const a = b /* c */ / d // e\n/ f', 'const r = /[/"\'`]\\/(?:a|\\])/g, s = 1', 'if (x) /re/.test(y)', 'while (f(a / b)) /a"b/.exec(c)', 'const d = (a + b) / 2 / c',
    'const t = `a // not ${ /* out */ b + `in ${c /* d */ / 2} ner` } \\` /* in */ \\${`', 'const f = () => { return /* x\n */ 1 }', 'let i = 0\n/* a */ ++i', 'i++ / 2; x = i-- / /y/.source.length', 'o.if / 2; o.return / 3; o?.in / 4',
    'class A { #x = 1; get y() { return this.#x / 2 } }', "const s = 'it\\'s' + \"\\\"//\" + '\\\\'", 'const re = [/a/, /b/.source, !/c/.test(d)]', 'x = a ? /b/ : /c/i', 'const n = 1.5e-3 / .5', 'for (const k of /a b/g[Symbol.matchAll]("c")) ;', 'return_ / 2', 'case_: x = 1', 'typeof /x/', 'é / 2 + "\u2028"',
];
test('what looks like a comment but is none stays, and the other way round', () => {
    for (const source of TRICKY) assert.deepEqual(tokens(stripText(source, 'js').toString()), tokens(source), source);
    assert.equal(stripText('', 'css').toString(), '');
    assert.equal(stripText('  // only a comment\n', 'js').toString(), '');
});

test('what cannot be told apart, or is not closed, is refused with its line', () => {
    for (const [source, words] of [['\n{}\n/x/.test(y)', /^line 3: a slash after }/], ['"abc', /a text is not closed/], ['`a${b}', /a template is not closed/], ['x = /a', /expression is not closed/], ['/* a', /comment is not closed/], ['(]', /closes/], ['f(', /is not closed/], ['}', /closes nothing/]]) {
        assert.throws(() => stripText(source, 'js'), (e) => words.test(String(e.stderr)), source);
    }
});

test('style sheets keep everything but comments and the blanks at line ends', () => {
    const plain = (css) => css.replace(/\/\*[^]*?\*\//g, ' ').replace(/\s+/g, ' ').trim();
    for (const name of files.filter((f) => f.endsWith('.css'))) {
        const source = fs.readFileSync(path.join(ROOT, name), 'utf8');
        assert.ok(!/["'][^"'\n]*\/\*/.test(source), 'the comparison does not know texts');
        assert.equal(plain(stripText(source, 'css').toString()), plain(source), name);
    }
    assert.equal(stripText('a::before { content: "/* no */  \\"" } /* yes */ b{}', 'css').toString(), 'a::before { content: "/* no */  \\"" } b{}\n');
});
