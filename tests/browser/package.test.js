// The npm package web/upreel: what it contains, its types, where it runs, and its helpers that need no browser.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {mock, test} from 'node:test';
import * as esbuild from 'esbuild';
import {folder, makeVideo, openPage, root, servePages, startBackend} from './harness.js';
import {
  UpreelError, Upload, backOff, fingerprint, follow, get, isDone, list, partSizeOf, planParts, refusal, remove, transfersOf,
  upload, watch,
} from '../../web/upreel/upreel.js';

const MiB = 2 ** 20;
const packageFolder = join(root, 'web/upreel');
const tsc = (...args) => {
  try {
    return execFileSync(join(import.meta.dirname, 'node_modules/.bin/tsc'), args, {encoding: 'utf8'});
  } catch (error) {
    return assert.fail(error.stdout || error);
  }
};

// --- the package and its types -------------------------------------------------------------------------------------

test('npm pack contains the modules with their types', async (t) => {
  const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json', '--dry-run'], {cwd: packageFolder, encoding: 'utf8'}));
  const files = packed.files.map(({path}) => path).sort();
  const {exports} = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'));
  const exported = Object.values(exports).flatMap(Object.values).map((path) => path.replace('./', ''));
  assert.deepEqual(files, [...exported, 'README.md', 'package.json'].sort());
});

test('the committed types are those of the modules', async (t) => {
  const dir = await folder(t);
  tsc('-p', packageFolder, '--outDir', dir);
  const {exports} = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'));
  for (const {types} of Object.values(exports)) {
    const [committed, generated] = [join(packageFolder, types), join(dir, types)].map((path) => readFileSync(path, 'utf8'));
    assert.equal(committed, generated, `${types} is out of date: run npm run types in tests/browser`);
  }
});

test('Video, Problem and Failure are the schemas of openapi.yaml', async (t) => {
  const backend = await startBackend(t);
  const {components: {schemas}} = await backend.json('/openapi.json');
  const typeOf = (schema) => {
    if (schema.$ref) return typeOf(schemas[schema.$ref.split('/').pop()]);
    if ('const' in schema) return JSON.stringify(schema.const);
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
    if (schema.type === 'array') return `(${typeOf(schema.items)})[]`;
    if (schema.type !== 'object') return schema.type === 'integer' ? 'number' : schema.type;
    if (!schema.properties) return `Record<string, ${typeOf(schema.additionalProperties)}>`;
    const fields = Object.entries(schema.properties).map(([name, field]) => (
      `${name}${schema.required.includes(name) ? '' : '?'}: ${typeOf(field)}`));
    return `{${fields.join('; ')}}`;
  };
  const dir = await folder(t);
  const lines = [
    `import type * as upreel from '${join(packageFolder, 'upreel.js')}';`,
    'type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : {ours: A, openapi: B};',
    // Compares the fields one by one, in any order, so that the message names the field.
    'type Fields<A, B> = {[F in keyof A | keyof B]-?: Same<F extends keyof A ? Pick<A, F> : 0, F extends keyof B ? Pick<B, F> : 0>};',
    'type AllTrue<T> = {[F in keyof T]: true};',
    'function same<A, B>(fields: Fields<A, B> & AllTrue<Fields<A, B>>) {}',
  ];
  for (const name of ['Video', 'Problem', 'Failure']) {
    const fields = Object.keys(schemas[name].properties).map((field) => `${field}: true`).join(', ');
    lines.push(`same<upreel.${name}, ${typeOf(schemas[name])}>({${fields}});`);
  }
  await writeFile(join(dir, 'same.ts'), lines.join('\n'));
  tsc('--noEmit', '--strict', '--module', 'nodenext', '--types', '', join(dir, 'same.ts'));
});

// --- where it runs ---------------------------------------------------------------------------------------------

/** The oldest versions that the head of upreel.js names, for esbuild. */
const OLDEST = ['chrome100', 'edge100', 'firefox97', 'safari15.4', 'node18'];
/** Built-ins that browsers got later. The `lib` of web/upreel/tsconfig.json excludes those of JavaScript after 2022. */
const LATER = [
  'AbortSignal.any', 'AbortSignal.timeout', 'Array.fromAsync', 'Array.prototype.findLast', 'Array.prototype.findLastIndex',
  'Blob.prototype.bytes', 'Element.prototype.checkVisibility', 'HTMLElement.prototype.showPopover', 'Map.groupBy',
  'Object.groupBy', 'Promise.try', 'Promise.withResolvers', 'ReadableStream.from', 'Request.prototype.bytes',
  'Response.prototype.bytes', 'Response.json', 'URL.canParse', 'URL.parse', 'Uint8Array.fromBase64',
  'Uint8Array.prototype.toHex', 'Navigator.prototype.userActivation', 'Scheduler.prototype.yield',
];

test('the modules use only syntax that the oldest browsers know', async () => {
  const {exports} = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8'));
  for (const {default: path} of Object.values(exports)) {
    const source = await readFile(join(packageFolder, path), 'utf8');
    const [latest, oldest] = await Promise.all(['esnext', OLDEST].map((target) => esbuild.transform(source, {target})));
    assert.equal(oldest.code, latest.code, path);
  }
  const head = await readFile(join(packageFolder, 'upreel.js'), 'utf8');
  assert.match(head, /Chrome and Edge 100, Firefox 97, Safari 15\.4 \(all of 2022\), Node 18,/);
});

test('uploads in parts without what browsers got after 2022', async (t) => {
  const backend = await startBackend(t);
  const video = await makeVideo(join(await folder(t), 'a.mp4'), {size: 17 * MiB});
  const source = await readFile(join(packageFolder, 'upreel.js'), 'utf8');
  const page = await openPage(t, await servePages(t, {'/index.html': '<!doctype html><link rel=icon href=data:,><input type=file>', '/upreel.js': source}));
  await page.setInputFiles('input', video.path);
  const deleted = await page.evaluate((names) => names.filter((name) => {
    const path = name.split('.');
    const last = path.pop();
    const owner = path.reduce((object, key) => object?.[key], window);
    return owner && last in owner && delete owner[last];
  }), LATER);
  assert.ok(deleted.length > LATER.length / 2, `${deleted}`);
  const status = await page.evaluate(async (api) => {
    const {upload, watch} = await import('/upreel.js');
    const {videoId} = await upload(document.querySelector('input').files[0], {api, signal: new AbortController().signal});
    return (await watch(videoId, {api})).status;
  }, backend.api);
  assert.equal(status, 'PROCESSED');
});

test('uploads files of every size from Node', async (t) => {
  const backend = await startBackend(t);
  const dir = await folder(t);
  const {api} = backend;
  for (const size of [undefined, 6 * MiB, 17 * MiB]) {
    const video = await makeVideo(join(dir, 'a.mp4'), {size});
    const file = new File([await readFile(video.path)], 'a.mp4', {type: 'video/mp4'});
    const states = [];
    const {videoId} = await upload(file, {api, onProgress: ({state, sent}) => states.push([state, sent])});
    assert.deepEqual(states.at(-1), ['stored', video.size]);
    await backend.assertStored(`videos/local/${videoId}.mp4`, video);
    const processed = await watch(videoId, {api});
    assert.deepEqual([processed.status, typeof processed.url], ['PROCESSED', 'string']);
    assert.equal((await list({api, limit: 1})).videos[0].videoId, videoId);
    await remove(videoId, {api});
    await assert.rejects(get(videoId, {api}), {code: 'NOT_FOUND', status: 404});
  }
});

test('only faults of the network are reported as such', async () => {
  // Port 1 of this machine refuses connections.
  await assert.rejects(get('a', {api: 'http://127.0.0.1:1'}), {code: 'NETWORK', message: 'The server cannot be reached.'});
  for (const server of [
    {api: 'http://127.0.0.1:1', headers: {'not a name': ''}},
    {api: 'http://127.0.0.1:1', headers: () => undefined.token},
    {api: 'no url'},
  ]) {
    await assert.rejects(get('a', server), (error) => error instanceof TypeError && !(error instanceof UpreelError));
  }
  const file = new File(['\0\0\0\x18ftypisom\0\0\0\0'], 'a.mp4');
  const onProgress = ({state}) => { if (state === 'waiting') undefined.bar(); };
  await assert.rejects(upload(file, {api: 'http://127.0.0.1:1', onProgress}), TypeError);
});

test('only a page of this machine is told how it is allowed', async (t) => {
  t.after(() => { delete globalThis.location; });
  t.mock.method(globalThis, 'fetch', async () => { throw new TypeError('fetch failed'); });
  const message = async (page, api) => {
    globalThis.location = new URL(page);
    return get('a', {api}).catch((error) => error.message);
  };
  const plain = 'The server cannot be reached.';
  for (const page of ['http://localhost:5173', 'http://[::1]:80', 'http://127.0.0.2:80', 'http://app.localhost:80']) {
    const {origin} = new URL(page);
    const hint = `${plain} Start it so that it allows this page: make run ARGS="--allow-origin ${origin}"`;
    assert.equal(await message(page, 'http://127.0.0.1:3000'), hint);
  }
  assert.equal(await message('http://localhost:5173', 'https://api.example.com'), plain);
  assert.equal(await message('https://localhost.example', 'http://127.0.0.1:3000'), plain);
  assert.equal(await message('http://127.0.0.1:3000', 'http://127.0.0.1:3000'), plain);
});

// --- formats -------------------------------------------------------------------------------------------------------

test('files are refused with the same messages as by the server', async (t) => {
  const backends = [await startBackend(t), await startBackend(t, '--audio')];
  const text = (bytes) => Buffer.from(bytes, 'latin1');
  const rust = (literal) => literal.replace(/\\(?:x([0-9A-F]{2})|(.))/g, (_, hex, letter) => (
    hex ? String.fromCharCode(parseInt(hex, 16)) : {0: '\0', r: '\r', n: '\n'}[letter] ?? letter));
  const source = await readFile(join(root, 'crates/core/src/container/sniff.rs'), 'utf8');
  // The table of known formats, and all byte strings in the rest of the module and its tests.
  const known = [...source.matchAll(/\((\d+), b"((?:[^"\\]|\\.)*)", "/g)].map(([, at, bytes]) => '\0'.repeat(at) + rust(bytes));
  assert.ok(known.length >= 39, `${known.length}`);
  const others = [...source.matchAll(/b"((?:[^"\\]|\\.)*)"/g)].map(([, bytes]) => rust(bytes));
  const packets = (stride, first, length) => Array.from({length}, (_, i) => (i % stride === first ? 'G' : '\xFF')).join('');
  const streams = [188, 192, 204].flatMap((stride) => [0, 4, 100].flatMap((first) => (
    [2, 3, 4, 5, 6].map((count) => packets(stride, first, first + (count - 1) * stride + 1)))));
  const tag = `ID3\x04\0\0\0\0\x01\x02${'\0'.repeat(130)}`;
  const mp4 = '\0\0\0\x18ftypisom\0\0\0\0';
  const webm = '\x1A\x45\xDF\xA3\x8B\x42\x86\x81\x01\x42\x82\x84webm';
  const heads = [...known, ...others, ...streams, 'text', '\0', 'ID3', tag, `${tag}fLaC`, tag + mp4, `ID3\x04\0\0\0\0\0\0${mp4}`,
    `ID3\x04\0\0\0\0\x80\0${mp4}`, 'ID3\x04\0\0\0\x7F\x7F\x7F', ...Array.from(webm, (_, end) => webm.slice(0, end)).slice(1),
    webm, `\x1A\x45\xDF\xA3\x01\0\0\0\0\0\0\x0B\x42\x82\x88matroska`, '\xFF\xFB\x90', '\xFF\xFB\xF0', '\xFF\xF1', '\0\0\x01\xB3',
    '\0\x01\xB3', '\0\0\0\x01\x67\x42', '\0\0\0\x01\x40\x01', '\x12\0\x0A'];
  const refused = [0, 0];
  for (const [head, audio] of heads.filter(Boolean).flatMap((head) => [[head, 0], [head, 1]])) {
    const body = new FormData();
    body.append('file', new Blob([text(head)]), 'a.mp4');
    const response = await fetch(`${backends[audio].api}/upload`, {method: 'POST', body});
    const theirs = response.ok ? undefined : (await response.json()).message;
    assert.equal(refusal(text(head), Boolean(audio)), theirs, JSON.stringify(head));
    refused[audio] += response.ok ? 0 : 1;
  }
  assert.ok(refused[0] > 50 && refused[0] < heads.length - 10, `${refused} of ${heads.length}`);
  assert.ok(refused[1] > 40 && refused[1] < refused[0] - 10, `${refused}`);
});

test('the containers that ffmpeg writes are accepted', async (t) => {
  const dir = await folder(t);
  const muxers = {mp4: 'mp4', mov: 'mov', '3gp': '3gp', webm: 'webm', mkv: 'matroska', avi: 'avi', ts: 'mpegts', mpg: 'mpeg', flv: 'flv', ogv: 'ogg', wmv: 'asf'};
  const codecs = {webm: 'libvpx', mpg: 'mpeg2video', flv: 'flv', ogv: 'libtheora', wmv: 'wmv2'};
  for (const [extension, muxer] of Object.entries(muxers)) {
    const path = join(dir, `a.${extension}`);
    const source = ['-f', 'lavfi', '-i', 'testsrc2=size=176x144:rate=25:duration=0.2', '-pix_fmt', 'yuv420p'];
    execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', ...source, '-c:v', codecs[extension] ?? 'libx264', '-f', muxer, path]);
    assert.equal(refusal(await readFile(path)), undefined, extension);
  }
});

test('refuses files before anything is sent', async (t) => {
  let requests = 0;
  t.mock.method(globalThis, 'fetch', async () => { requests += 1; throw new Error('no request expected'); });
  const zip = new File(['PK\x03\x04', new Uint8Array(9 * MiB)], 'film.mp4', {type: 'video/mp4'});
  for (const [file, code, message] of [
    [zip, 'UNSUPPORTED_MEDIA', /^ZIP is not supported\. Supported: MP4, MOV, .* or WMV\.$/],
    [new File(['words'], 'a.mp4'), 'UNSUPPORTED_MEDIA', /^This file isn't a supported video\. Supported: MP4,/],
    [new File([], 'a.mp4'), 'EMPTY_FILE', /^The file is empty\.$/],
  ]) {
    const job = new Upload(file, {api: 'http://127.0.0.1:1'});
    await assert.rejects(job.start(), (error) => error.code === code && message.test(error.message) && error.refused);
    assert.equal(job.state, 'failed');
  }
  assert.equal(requests, 0);
});

// --- the poller ----------------------------------------------------------------------------------------------------

/** Replaces time and the network, and returns the paths that are requested. `videos` are newest first. */
function simulate(t, videos, pageSize = 100) {
  mock.timers.enable({apis: ['setTimeout', 'Date']});
  t.after(() => mock.timers.reset());
  const requests = [];
  t.mock.method(globalThis, 'fetch', async (request) => {
    const {pathname, searchParams} = new URL(request.url);
    requests.push({path: pathname, ifNoneMatch: request.headers.get('If-None-Match')});
    if (pathname === '/videos') {
      const from = Number(searchParams.get('cursor') ?? 0);
      const page = videos().slice(from, from + pageSize);
      return Response.json({videos: page, ...(videos().length > from + pageSize && {cursor: String(from + pageSize)})});
    }
    const video = videos().find(({videoId}) => pathname === `/videos/${videoId}`);
    if (!video) return Response.json({code: 'NOT_FOUND', detail: 'There is no such video.'}, {status: 404});
    const etag = `"${video.status}"`;
    if (request.headers.get('If-None-Match') === etag) return new Response(null, {status: 304, headers: {etag}});
    return Response.json({...video, url: 'http://s3/'}, {headers: {etag}});
  });
  /** Lets the time pass in steps of 10 ms. */
  const pass = async (ms) => {
    for (let passed = 0; passed < ms; passed += 10) {
      mock.timers.tick(10);
      for (let i = 0; i < 20; i += 1) await Promise.resolve();
    }
  };
  return {requests, pass};
}

const rows = (count, status = 'PROCESSING') => (
  Array.from({length: count}, (_, i) => ({videoId: `id-${String(999 - i)}`, status})));

test('100 unfinished videos take at most 12 requests in 10 seconds', async (t) => {
  for (const [count, pageSize, first] of [[100, 100, 0], [100, 60, 0], [100, 100, 150], [24, 100, 0]]) {
    await t.test(`${count} videos after ${first} others, ${pageSize} on a page`, async (t) => {
      const videos = rows(first + count);
      const {requests, pass} = simulate(t, () => videos, pageSize);
      const controller = new AbortController();
      const api = `http://${count}-${pageSize}-${first}`;
      const ends = videos.slice(first).map(({videoId}) => follow(videoId, {api, signal: controller.signal}).catch(() => {}));
      await pass(10_000);
      assert.ok(requests.length <= 12 && requests.length >= 3, `${requests.length}`);
      const before = requests.length;
      await pass(20_000);
      assert.ok(requests.length - before <= 24, 'it goes on');
      controller.abort();
      await Promise.all(ends);
      const after = requests.length;
      await pass(60_000);
      assert.equal(requests.length, after, 'nothing is requested once nobody follows');
    });
  }
});

test('a new video is seen soon, and every change is reported once', async (t) => {
  const videos = rows(6);
  const {requests, pass} = simulate(t, () => videos);
  const api = 'http://soon';
  const seen = [];
  const ends = videos.slice(0, 5).map(({videoId}) => follow(videoId, {api, onChange: ({status}) => seen.push(`${videoId} ${status}`)}));
  await pass(30_000);
  assert.equal(seen.length, 5);
  const last = follow('id-994', {api, onChange: ({status}) => seen.push(`id-994 ${status}`)});
  await pass(1_100);
  assert.equal(seen.at(-1), 'id-994 PROCESSING');
  for (const video of videos) video.status = 'PROCESSED';
  await pass(10_000);
  assert.deepEqual((await Promise.all([...ends, last])).map(({status}) => status), Array(6).fill('PROCESSED'));
  assert.equal(seen.length, 12);
  assert.ok(requests.every(({path}) => path === '/videos'));
});

test('few videos are polled with If-None-Match', async (t) => {
  const videos = rows(2);
  const {requests, pass} = simulate(t, () => videos);
  const ends = videos.map(({videoId}) => watch(videoId, {api: 'http://few'}));
  await pass(10_000);
  assert.ok(requests.length <= 12, `${requests.length}`);
  assert.deepEqual(requests.map(({ifNoneMatch}) => ifNoneMatch), requests.map((_, i) => (i < 2 ? null : '"PROCESSING"')));
  for (const video of videos) video.status = 'FAILED';
  await pass(10_000);
  assert.deepEqual((await Promise.all(ends)).map(({status, url}) => [status, url]), Array(2).fill(['FAILED', 'http://s3/']));
});

test('a deleted video ends its watch only, and all fail without credentials', async (t) => {
  let videos = rows(5);
  const {pass} = simulate(t, () => videos);
  const ends = videos.map(({videoId}) => follow(videoId, {api: 'http://deleted'}).catch(({code}) => code));
  await pass(1_000);
  videos = videos.slice(1);
  await pass(10_000);
  assert.equal(await ends[0], 'NOT_FOUND');
  t.mock.method(globalThis, 'fetch', async () => Response.json({code: 'UNAUTHORIZED', detail: 'Sign in.'}, {status: 401}));
  await pass(10_000);
  assert.deepEqual(await Promise.all(ends.slice(1)), Array(4).fill('UNAUTHORIZED'));
});

test('nothing is polled while the page is hidden', async (t) => {
  const videos = rows(5);
  const {requests, pass} = simulate(t, () => videos);
  globalThis.document = Object.assign(new EventTarget(), {hidden: false});
  t.after(() => { delete globalThis.document; });
  const ends = videos.map(({videoId}) => follow(videoId, {api: 'http://hidden'}));
  await pass(1_000);
  document.hidden = true;
  await pass(10_000);
  const before = requests.length;
  await pass(600_000);
  assert.equal(requests.length, before);
  document.hidden = false;
  for (const video of videos) video.status = 'PROCESSED';
  document.dispatchEvent(new Event('visibilitychange'));
  await pass(10);
  assert.equal((await Promise.all(ends)).length, 5);
});

// --- helpers -------------------------------------------------------------------------------------------------------

test('parts cover the file and respect the limits of S3', () => {
  for (const size of [1, 8 * MiB, 8 * MiB + 1, 55 * MiB, 150 * MiB, 5 * 2 ** 30, 80_000 * MiB + 1, 5 * 2 ** 40]) {
    const parts = planParts(size);
    assert.ok(parts.length <= 10_000, `${parts.length} parts of ${size}`);
    assert.deepEqual([parts[0].start, parts.at(-1).end, parts.at(-1).number], [0, size, parts.length]);
    parts.forEach(({number, start, end}, i) => {
      assert.equal(number, i + 1);
      assert.ok(end > start && end - start <= 5 * 2 ** 30);
      if (i > 0) assert.equal(start, parts[i - 1].end);
      if (i < parts.length - 1) assert.ok(end - start === partSizeOf(size) && end - start >= 5 * MiB);
    });
  }
});

test('less than a tenth of a file is sent at the same time, from 55 MiB on', () => {
  for (const size of [55, 99, 150, 199, 200, 320, 5000, 100_000].map((size) => size * MiB)) {
    assert.ok(transfersOf(size) * partSizeOf(size) < size / 10, `${size / MiB}`);
  }
  assert.deepEqual([17, 99, 100, 150, 200, 9000].map((size) => transfersOf(size * MiB)), [1, 1, 1, 2, 3, 4]);
});

test('delays double up to 30 seconds, with 50 % jitter', () => {
  assert.deepEqual([0, 1, 2, 10, 1000].map((attempt) => backOff(attempt, 0)), [250, 500, 1000, 15_000, 15_000]);
  assert.deepEqual([0, 1, 2, 10, 1000].map((attempt) => backOff(attempt, 1)), [500, 1000, 2000, 30_000, 30_000]);
  assert.ok(new Set(Array.from({length: 20}, () => backOff(3))).size > 10);
});

test('a fingerprint depends on name, size, type and modification time', () => {
  const file = {name: 'a.mp4', size: 7, lastModified: 1, type: 'video/mp4'};
  assert.equal(fingerprint(file), fingerprint({...file}));
  for (const other of [{name: 'b.mp4'}, {size: 8}, {lastModified: 2}, {type: ''}]) {
    assert.notEqual(fingerprint({...file, ...other}), fingerprint(file));
  }
  assert.notEqual(fingerprint({...file, name: 'a', size: 11}), fingerprint({...file, name: 'a,1', size: 1}));
});

test('isDone considers a running transcoding only if renditions are wanted', () => {
  const video = (status, transcode) => ({status, transcode: transcode && {status: transcode}});
  for (const [value, done, withRenditions] of [
    [video('PROCESSING'), false, false],
    [video('FAILED'), true, true],
    [video('PROCESSED'), true, true],
    [video('PROCESSED', 'RUNNING'), true, false],
    [video('PROCESSED', 'DONE'), true, true],
    [video('PROCESSED', 'FAILED'), true, true],
  ]) {
    assert.deepEqual([isDone(value), isDone(value, true)], [done, withRenditions], JSON.stringify(value));
  }
});
