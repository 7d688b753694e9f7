// static.test.mjs - what the viewer's files weigh, and what they must not contain.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../static/', import.meta.url));
const RAW_MAX = 300_000;
const GZIP_MAX = 90_000;

const files = fs.readdirSync(ROOT, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).map((f) => path.relative(ROOT, path.join(f.parentPath ?? f.path, f.name)));
const text = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');
const shipped = files.filter((f) => !f.endsWith('.md'));

const EMBEDDED = process.env.TTAP_EMBEDDED;
test('what is embedded of the viewer stays within its budget', { skip: EMBEDDED ? false : 'nothing embedded was given' }, () => {
    const all = fs.readdirSync(EMBEDDED, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).map((f) => fs.readFileSync(path.join(f.parentPath ?? f.path, f.name)));
    const raw = all.reduce((s, body) => s + body.length, 0);
    const gzip = all.reduce((s, body) => s + zlib.gzipSync(body, { level: 9 }).length, 0);
    console.log(`${all.length} files, ${raw} bytes, ${gzip} gzipped (allowed: ${RAW_MAX}, ${GZIP_MAX}); the sources are ${shipped.length} files`);
    assert.ok(raw > 100_000 && raw <= RAW_MAX && gzip <= GZIP_MAX);
});

test('nothing is asked for from elsewhere', () => {
    for (const f of shipped) {
        const links = text(f).match(/(?:https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^\s'"`)]*/gi) ?? [];
        assert.deepEqual(links.filter((l) => !l.startsWith('http://www.w3.org/')), [], f);
    }
});

test('no way in which text could become markup or code is used', () => {
    for (const f of shipped.filter((x) => x.endsWith('.js'))) {
        assert.doesNotMatch(text(f), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function|setAttribute\('style'|createContextualFragment|srcdoc/, f);
    }
    assert.doesNotMatch(text('index.html'), /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=/i);
});

test('each import leads to a file, and each module that the page needs is loaded ahead', () => {
    const imports = (f) => [...text(f).matchAll(/^(?:import|export) .*?from '([^']+)'|^import '([^']+)'/gm)].map((m) => path.normalize(path.join(path.dirname(f), m[1] ?? m[2])));
    const reached = new Set();
    const walk = (f) => {
        if (reached.has(f)) return;
        reached.add(f);
        assert.ok(files.includes(f), `${f} is imported but not there`);
        imports(f).forEach(walk);
    };
    walk('app.js');
    const ahead = [...text('index.html').matchAll(/modulepreload" href="([^"]+)"/g)].map((m) => m[1]);
    assert.deepEqual([...reached].filter((f) => !ahead.includes(f)), []);
    assert.deepEqual(ahead.filter((f) => !reached.has(f)), []);
});
