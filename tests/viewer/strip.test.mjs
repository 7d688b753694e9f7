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
    'class A { #x = 1; get y() { return this.#x / 2 } }', "const s = 'it\\'s' + \"\\\"//\" + '\\\\'", 'const re = [/a/, /b/.source, !/c/.test(d)]', 'x = a ? /b/ : /c/i', 'const n = 1.5e-3 / .5', 'for (const k of /a b/g[Symbol.matchAll]("c")) ;', 'return_ / 2', 'case_: x = 1', 'typeof /x/', 'x = a ? .5 : b ?? c, y = a ?. d', 'const o = { a : /=/ , b : - 1 , c : + + d }', 'for (let i = - 1 , j ; ; ) ;', 'a + + b - - c + ++ d - -- e', 'a -- > b', 'a < ! -- b', 'x = a / /b/ . c', '/a/ in b, /a/g in b, a / b', '1 . toString ( ) , 1.5 . x', 'class B { static #x = 1 ; has ( o ) { return #x in o } }', 'yield_ * /x/', 'a ?? /x/ || `y` in z && "s" in z', 'x => { } , y', 'a ** - b', 'a & ~ b ^ ! c', 'f = async ( a , b = 1 ) => /x/ , g = function * ( ) { }', 'é / 2 + "\u2028"',
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

// ---- Packing: one module instead of an entry and all it imports ----

const EMBEDDED = process.env.TTAP_EMBEDDED ?? '';

/** Modules in the order in which they are packed: what is imported comes first. */
function order(entry, seen = []) {
    const source = fs.readFileSync(path.join(ROOT, entry), 'utf8');
    for (const m of source.matchAll(/^import \{[^}]*\} from '([^']*)';$/gm)) {
        const used = path.normalize(path.join(path.dirname(entry), m[1]));
        if (!seen.includes(used)) order(used, seen);
    }
    if (!seen.includes(entry)) seen.push(entry);
    return seen;
}

/** @param {string} source without its imports, and without the word export */
function bodyTokens(source) {
    const file = ts.createSourceFile('m.js', source, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
    return file.statements.filter((s) => !ts.isImportDeclaration(s)).flatMap((s) => {
        const text = source.slice(s.getStart(file), s.end);
        return tokens(text.replace(/^export (?=async |function|class|const)/, ''));
    });
}

for (const entry of ['app.js', 'data/worker.js']) {
    test(`${entry} packed is its modules, each in a scope of its own, with what they import from each other`, { skip: EMBEDDED ? false : 'nothing embedded was given' }, () => {
        const packed = fs.readFileSync(path.join(EMBEDDED, entry), 'utf8');
        const file = ts.createSourceFile('p.js', packed, ts.ScriptTarget.ES2022, true, ts.ScriptKind.JS);
        const modules = order(entry);
        assert.equal(file.statements.length, modules.length);
        file.statements.forEach((statement, k) => {
            const declaration = statement.declarationList.declarations[0];
            assert.equal(declaration.name.getText(file), `m${k}`);
            const body = declaration.initializer.expression.expression.body.statements;
            const source = fs.readFileSync(path.join(ROOT, modules[k]), 'utf8');
            const imports = [...source.matchAll(/^import \{ ([^}]*) \} from '([^']*)';$/gm)];
            imports.forEach((m, i) => {
                const from = modules.indexOf(path.normalize(path.join(path.dirname(modules[k]), m[2])));
                assert.equal(body[i].getText(file), `const{${m[1].replace(/, /g, ',').replace(/ as /g, ':')}}=m${from};`);
            });
            const own = body.slice(imports.length, -1).flatMap((s) => tokens(packed.slice(s.getStart(file), s.end)));
            assert.deepEqual(own, bodyTokens(stripText(source, 'js').toString()), modules[k]);
            const exported = [...source.matchAll(/^export (?:async )?(?:function\*? |class |const )([\w$]+)/gm)].map((m) => m[1]).sort();
            assert.deepEqual(body[body.length - 1].expression.properties.map((p) => p.name.text).sort(), exported, modules[k]);
        });
    });
}

test('what is embedded is all that the page asks for', { skip: EMBEDDED ? false : 'nothing embedded was given' }, () => {
    const all = fs.readdirSync(EMBEDDED, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).map((f) => path.relative(EMBEDDED, path.join(f.parentPath ?? f.path, f.name))).sort();
    const page = fs.readFileSync(path.join(EMBEDDED, 'index.html'), 'utf8');
    const asked = [...page.matchAll(/(?:href|src)="([^"#]+)"/g)].map((m) => m[1]);
    assert.deepEqual([...asked, 'data/worker.js', 'index.html'].sort(), all);
});
